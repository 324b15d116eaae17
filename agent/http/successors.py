"""What a connection is read as after an HTTP/1 upgrade or CONNECT, one row each.

Bytes after any other upgrade are counted as opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.http.conversation import Handover, Shared
from agent.http.http2 import Http2
from agent.http.messages import Exchange
from agent.http.tunnel import Tunnel
from agent.http.websocket import WebSockets
from agent.streams.conversation import Conversation

Protocol = Callable[[Shared, Handover], Conversation[Exchange]]

SUCCESSORS: Mapping[bytes, Protocol] = {
    b"h2c": Http2,  # RFC 7540 section 3.2
    b"CONNECT": Tunnel,
    b"websocket": WebSockets,
}
"""By the value of Upgrade in the response, in small letters too; CONNECT has none."""
