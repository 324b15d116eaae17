"""An HTTP/2 connection, by prior knowledge or after an upgrade."""

from __future__ import annotations

from agent.events import Direction, Role
from agent.http.conversation import ROLES, Handover, Shared
from agent.http.h2.streams import Streams
from agent.http.messages import Exchange
from agent.ledger import Bytes
from agent.streams.half import Segment


class Http2:
    """See `agent.streams.conversation.Conversation`. It never waits and has no successor."""

    successor = None
    waiting = False

    def __init__(self, shared: Shared, handover: Handover) -> None:
        whole = {direction: half.whole for direction, half in handover.halves.items()}
        self._streams = Streams(
            shared.counts, shared.body_cap, handover.request_direction, whole, shared.text_cap
        )
        self.verdict: Bytes | None = None
        if handover.upgrade is not None:
            self._streams.upgraded(handover.upgrade)
        for direction, half in handover.halves.items():
            self._read(direction, half.unread)

    @property
    def role(self) -> Role | None:
        """The role of the captured process, once known."""
        direction = self._streams.request_direction
        return None if direction is None else ROLES[direction]

    @property
    def held(self) -> int:
        """Bytes of memory, roughly."""
        return self._streams.held

    def receive(self, direction: Direction, segments: list[Segment], now_ns: int) -> list[Exchange]:
        """The exchanges that the next segments of one half complete."""
        self._read(direction, segments)
        return self.advance(now_ns)

    def advance(self, now_ns: int) -> list[Exchange]:
        """The exchanges that are complete and not returned yet."""
        if self._streams.hopeless:
            self.verdict = Bytes.NOT_HTTP
        return self._streams.drain()

    def end(self, *, closed: bool, leftover: Bytes) -> list[Exchange]:
        """The remaining exchanges."""
        self._streams.end(closed)
        return self._streams.drain()

    def _read(self, direction: Direction, segments: list[Segment]) -> None:
        for segment in segments:
            self._streams.receive(direction, segment)
