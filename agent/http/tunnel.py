"""A connection after CONNECT (RFC 9110 section 9.3.6): its first bytes show whether it carries TLS.

What is inside is read elsewhere: where a TLS library has it in plaintext, or on the proxy's own connection.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.events import Direction
from agent.http.conversation import ROLES, Handover, Shared
from agent.http.messages import Exchange
from agent.ledger import Bytes
from agent.streams.conversation import Conversation
from agent.streams.half import Data, Segment
from agent.streams.sniff import TrafficKind, sniff


class Tunnel:
    """See `agent.streams.conversation.Conversation`. Returns the CONNECT exchange, then reads one segment:
    up to that a live source sends the bytes.
    """

    waiting = False
    held = 0

    def __init__(self, shared: Shared, handover: Handover) -> None:
        direction = handover.request_direction
        assert direction is not None
        self.role = ROLES[direction]
        self.successor: Conversation[Exchange] | None = None
        self.verdict: Bytes | None = None
        self._shared = shared
        self._connect = [] if handover.upgrade is None else [handover.upgrade]
        for each in (direction, direction.opposite):
            self._count(handover.halves[each].unread)

    def receive(self, direction: Direction, segments: list[Segment], now_ns: int) -> list[Exchange]:
        """Decides with the first bytes, of either half."""
        self._count(segments)
        return self.advance(now_ns)

    def advance(self, now_ns: int) -> list[Exchange]:
        """The CONNECT exchange, once."""
        found, self._connect = self._connect, []
        return found

    def end(self, *, closed: bool, leftover: Bytes) -> list[Exchange]:
        """None: nothing is held."""
        return []

    def _count(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            if isinstance(segment, Data):
                if self.verdict is None:
                    is_tls = sniff(segment.data) is TrafficKind.TLS
                    self.verdict = Bytes.TLS_CIPHERTEXT if is_tls else Bytes.OPAQUE
                self._shared.counts[self.verdict] += len(segment.data)
