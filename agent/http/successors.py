"""Protocols that are read after an HTTP/1 upgrade, one row each.

Bytes after any other upgrade, and after CONNECT, are counted as opaque.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.http.conversation import Handover, Shared
from agent.http.http2 import Http2
from agent.http.messages import Exchange
from agent.streams.conversation import Conversation

Protocol = Callable[[Shared, Handover], Conversation[Exchange]]

SUCCESSORS: Mapping[bytes, Protocol] = {
    b"h2c": Http2,  # RFC 7540 section 3.2
}
"""By the value of Upgrade in the response."""
