"""A connection after its upgrade to WebSocket: the exchange that asked for it, once, with what followed.

| event                                            | becomes                                   |
|--------------------------------------------------|-------------------------------------------|
| frames                                           | counted                                   |
| the second Close frame; the connection's end     | reported; further bytes are opaque        |
| open for longer than OPEN_NS; SEARCH_BYTES of    | the same, with what was counted until then|
| one half without a frame                         |                                           |
"""

from __future__ import annotations

from dataclasses import replace

from agent.events import Direction, Role
from agent.http.conversation import ROLES, Handover, Shared
from agent.http.messages import Exchange
from agent.http.ws.frames import WebSocketReader
from agent.http.ws.summary import is_extended, summary
from agent.ledger import Bytes
from agent.streams.conversation import Conversation
from agent.streams.half import Data, Segment
from agent.streams.sniff import SEARCH_BYTES

OPEN_NS = 3600 * 1_000_000_000
"""An exchange is reported when it is over; one that never ends would never be."""


OPEN_BYTES = 4096
"""Memory of an open connection, roughly: the exchange that asked for it, and two readers."""


class WebSockets:
    """See `agent.streams.conversation.Conversation`."""

    waiting = False

    def __init__(self, shared: Shared, handover: Handover) -> None:
        direction = handover.request_direction
        assert direction is not None
        self.role: Role | None = ROLES[direction]
        self.successor: Conversation[Exchange] | None = None
        self.verdict: Bytes | None = None
        self._shared = shared
        self._upgrade = handover.upgrade
        response = None if handover.upgrade is None else handover.upgrade.response
        self._since_ns = 0 if response is None else response.start_ns
        extended = response is not None and is_extended(response.headers)
        self._client = WebSocketReader(True, extended, shared.text_cap)
        self._server = WebSocketReader(False, extended, shared.text_cap)
        self._readers = {direction: self._client, direction.opposite: self._server}
        for each, half in handover.halves.items():
            self._read(each, half.unread)

    @property
    def held(self) -> int:
        """Bytes of memory, roughly."""
        return OPEN_BYTES + self._client.held + self._server.held

    def receive(self, direction: Direction, segments: list[Segment], now_ns: int) -> list[Exchange]:
        """The exchange, if it is over with these segments."""
        self._read(direction, segments)
        return self.advance(now_ns)

    def advance(self, now_ns: int) -> list[Exchange]:
        """The exchange, once it is over, or open for too long."""
        client, server = self._client, self._server
        is_over = client.close is not None and server.close is not None
        is_lost = client.passed > SEARCH_BYTES or server.passed > SEARCH_BYTES
        if is_over or is_lost or now_ns - self._since_ns > OPEN_NS or self._upgrade is None:
            return self._report(closed=is_over)
        return []

    def end(self, *, closed: bool, leftover: Bytes) -> list[Exchange]:
        """The exchange, unless it was over."""
        return self._report(closed)

    def _read(self, direction: Direction, segments: list[Segment]) -> None:
        reader, counts = self._readers[direction], self._shared.counts
        for segment in segments:
            if not isinstance(segment, Data):
                reader.skip(segment.length, segment.time_ns)
                continue
            size = len(segment.data)
            read = reader.feed(segment.data, segment.time_ns)
            counts[Bytes.PARSED] += read
            if read < size:
                counts[Bytes.UNSYNCED if reader.close is None else Bytes.OPAQUE] += size - read

    def _report(self, closed: bool) -> list[Exchange]:
        self.verdict = Bytes.OPAQUE
        upgrade, self._upgrade = self._upgrade, None
        if upgrade is None:
            return []
        return [replace(upgrade, websocket=summary(self._client, self._server, closed))]
