"""A connection whose protocol or request direction is not known yet.

| first bytes of a half        | next                                                                  |
|------------------------------|-----------------------------------------------------------------------|
| a request, a response        | `Http1`, whose requests go in this or in the other direction          |
| HTTP/2's preface or SETTINGS | `Http2`, alike                                                        |
| frames, after a late join    | `Http2`, whose request direction is not known yet                     |
| TLS, something else          | dismissed                                                             |
| too few to tell              | undecided; after a late join or a gap the start is searched for, and  |
|                              | after SEARCH_BYTES without one the connection is dismissed            |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from agent.events import Direction
from agent.http.conversation import HalfStart, Handover, Shared
from agent.http.h2.frames import PREFACE, carries_headers, plausible
from agent.http.http1 import Http1
from agent.http.http2 import Http2
from agent.http.messages import Exchange
from agent.http.successors import Protocol
from agent.ledger import Bytes
from agent.streams.conversation import Conversation
from agent.streams.half import Data, Gap, Segment
from agent.streams.sniff import SEARCH_BYTES, Search, TrafficKind, sniff

PROTOCOLS: Mapping[TrafficKind, Protocol] = {
    TrafficKind.REQUEST: Http1,
    TrafficKind.RESPONSE: Http1,
    TrafficKind.HTTP2: Http2,
}
VERDICTS: Mapping[TrafficKind, Bytes] = {
    TrafficKind.TLS: Bytes.TLS_CIPHERTEXT,
    TrafficKind.OTHER: Bytes.NOT_HTTP,
}


class ProtocolProbe:
    """One half of it, before the request direction is known."""

    __slots__ = ("_first", "_joined", "lost_ns", "search", "whole")

    def __init__(self, from_start: bool, counts: Counter[str]) -> None:
        self.whole = from_start  # captured from its first byte
        self._first: list[Segment] = []
        self._joined = b""
        self.search = Search(counts)
        self.lost_ns: int | None = None  # time of the last gap

    def offer(self, segment: Segment) -> TrafficKind:
        """The protocol of the half, as far as the segments so far show."""
        if isinstance(segment, Gap):
            self._lose(segment)
            return TrafficKind.UNDECIDED
        if not self.whole:
            if plausible(segment.data) and carries_headers(segment.data):
                self.search.drop()
                self._first.append(segment)
                return TrafficKind.HTTP2
            kind = self.search.offer(segment)
            return TrafficKind.UNDECIDED if kind is TrafficKind.OTHER else kind
        self._first.append(segment)
        self._joined += segment.data
        return sniff(self._joined)

    def _lose(self, gap: Gap) -> None:
        self.search.drop()
        if self._first:
            self.search.skip(len(self._joined))
            self.pop()
        self.whole = False
        self.lost_ns = gap.time_ns

    @property
    def prefaced(self) -> bool:
        """Whether the first bytes are an HTTP/2 client's."""
        return bool(self._joined) and PREFACE.startswith(self._joined[: len(PREFACE)])

    @property
    def held(self) -> int:
        """Bytes of memory."""
        return len(self._joined) + len(self.search.joined)

    def pop(self) -> list[Segment]:
        """Removes and returns the segments that were not skipped."""
        found, self._first, self._joined = self._first or [*self.search.pop()], [], b""
        return found


class Undecided:
    """See `agent.streams.conversation.Conversation`."""

    role = None
    waiting = False

    def __init__(self, shared: Shared, from_start: bool) -> None:
        self._shared = shared
        self._late = not from_start
        self._probes = {direction: ProtocolProbe(from_start, shared.counts) for direction in Direction}
        self.verdict: Bytes | None = None
        self.successor: Conversation[Exchange] | None = None

    @property
    def held(self) -> int:
        """Bytes of memory."""
        return sum(probe.held for probe in self._probes.values())

    def receive(self, direction: Direction, segments: list[Segment], now_ns: int) -> list[Exchange]:
        """Decides with as few segments as needed; the successor reads the rest."""
        for at, segment in enumerate(segments, 1):
            kind = self._probes[direction].offer(segment)
            protocol, verdict = PROTOCOLS.get(kind), VERDICTS.get(kind)
            if protocol is not None:
                self.successor = protocol(self._shared, self._handover(direction, kind))
                return self.successor.receive(direction, segments[at:], now_ns)
            if verdict is None and self._passed > SEARCH_BYTES:
                verdict = Bytes.NOT_HTTP
            if verdict is not None:
                self.verdict = verdict
                self._count(verdict, segments[at:])
                self._abandon(verdict)
                return []
        return []

    def advance(self, now_ns: int) -> list[Exchange]:
        """None: time decides nothing."""
        return []

    def end(self, *, closed: bool, leftover: Bytes) -> list[Exchange]:
        """Counts the held bytes."""
        self._abandon(leftover)
        return []

    @property
    def _passed(self) -> int:
        return sum(probe.search.passed for probe in self._probes.values())

    def _handover(self, direction: Direction, kind: TrafficKind) -> Handover:
        request_direction = self._request_direction(direction, kind)
        halves = {
            each: HalfStart(probe.whole, probe.lost_ns, probe.pop()) for each, probe in self._probes.items()
        }
        return Handover(request_direction, self._late, halves)

    def _request_direction(self, direction: Direction, kind: TrafficKind) -> Direction | None:
        """Derives the request direction: the client begins HTTP/2 with the preface, the server with SETTINGS;
        a late join sees neither.
        """
        probe = self._probes[direction]
        if kind is TrafficKind.HTTP2 and not probe.whole:
            return None
        asks = kind is TrafficKind.REQUEST or (kind is TrafficKind.HTTP2 and probe.prefaced)
        return direction if asks else direction.opposite

    def _abandon(self, bucket: Bytes) -> None:
        for probe in self._probes.values():
            self._count(bucket, probe.pop())

    def _count(self, bucket: Bytes, segments: Sequence[Segment]) -> None:
        for segment in segments:
            if isinstance(segment, Data):
                self._shared.counts[bucket] += len(segment.data)
