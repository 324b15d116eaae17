"""Connections as conversations: both halves of each, read as HTTP/1 and paired into exchanges.

`Connections` is what the pipeline feeds: events in, `Seen` out. A `Conversation` finds out which half
carries the requests, feeds the two readers and holds a response for a moment if its request is not here
yet, since the two halves are captured on different CPUs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from agent.events import Address, Chunk, Closed, ConnectionKey, Direction, Opened, Role
from agent.http.h1 import RequestReader, ResponseReader
from agent.http.messages import Exchange
from agent.http.pair import Pair
from agent.ledger import Bytes, Ledger
from agent.streams.half import Data, Gap, Segment
from agent.streams.sniff import SEARCH_BYTES, Kind, Search, sniff
from agent.streams.table import Ends, Limits, Reader, Table

HOLD_NS = 200_000_000
"""How long a response waits for its request, in event time."""

HOLD_BYTES = 256 * 1024
"""What may queue up behind a message that waits."""

_OTHER_WAY = {Direction.SENT: Direction.RECEIVED, Direction.RECEIVED: Direction.SENT}
_VERDICTS = {
    Kind.HTTP2: Bytes.HTTP2,
    Kind.TLS: Bytes.TLS_CIPHERTEXT,
    Kind.OTHER: Bytes.NOT_HTTP,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """An exchange and the connection it was seen on. `pid` is of the connection's last chunk; `role` is
    what the watched process is: the client if it sent the requests.
    """

    connection: ConnectionKey
    pid: int | None
    local: Address | None
    peer: Address | None
    role: Role | None
    exchange: Exchange


class Connections:
    """All connections. `not_http` hears once of each whose further bytes are of no use, and of what kind
    they are (also HTTP/2, TLS, and what follows an upgrade), so that the source can stop sending them.
    """

    def __init__(
        self,
        limits: Limits,
        body_cap: int,
        ledger: Ledger,
        not_http: Callable[[ConnectionKey, Bytes], None] = lambda connection, bucket: None,
    ) -> None:
        def conversation(from_start: bool) -> Reader[Spoken]:
            return Conversation(from_start, body_cap, ledger.bytes)

        self._table: Table[Spoken] = Table(limits, ledger, conversation, not_http)

    def feed(self, event: Opened | Chunk | Closed) -> Iterator[Seen]:
        """The exchanges that `event` settles."""
        return map(_seen, self._table.feed(event))

    def tick(self, now_ns: int) -> Iterator[Seen]:
        """The exchanges that are settled by time having come to `now_ns` with no event."""
        return map(_seen, self._table.tick(now_ns))

    def finish(self, now_ns: int) -> Iterator[Seen]:
        """Everything that is left, at the end of watching."""
        return map(_seen, self._table.finish(now_ns))

    def __len__(self) -> int:
        return len(self._table)

    @property
    def held(self) -> int:
        """Bytes of memory that wait for the rest of something."""
        return self._table.held


Spoken = tuple[Role, Exchange]
"""An exchange and what the watched process is in it."""


def _seen(told: tuple[Ends, Spoken]) -> Seen:
    ends, (role, exchange) = told
    return Seen(ends.connection, ends.pid, ends.local, ends.peer, role, exchange)


class _Opening:
    """One half before it is known which one carries the requests."""

    __slots__ = ("_first", "_joined", "lost_ns", "search", "whole")

    def __init__(self, from_start: bool, counts: Counter[str]) -> None:
        self.whole = from_start  # seen from its first byte
        self._first: list[Data] = []
        self._joined = b""
        self.search = Search(counts)
        self.lost_ns = -1  # time of the last hole

    def offer(self, segment: Segment) -> Kind:
        """What the half speaks, as far as this segment tells."""
        if isinstance(segment, Gap):
            self._lose(segment)
            return Kind.UNDECIDED
        if not self.whole:
            kind = self.search.offer(segment)
            return Kind.UNDECIDED if kind is Kind.OTHER else kind
        self._first.append(segment)
        self._joined += segment.data
        return sniff(self._joined)

    def _lose(self, gap: Gap) -> None:
        self.search.drop()
        if self._first:
            self.search.skip(len(self._joined))
            self.take()
        self.whole = False
        self.lost_ns = gap.time_ns

    @property
    def held(self) -> int:
        return len(self._joined) + len(self.search.joined)

    def take(self) -> list[Data]:
        """What was offered and not passed over."""
        found, self._first, self._joined = self._first or self.search.take(), [], b""
        return found


class Conversation:
    """Reads one connection; see `agent.streams.table.Reader`."""

    def __init__(self, from_start: bool, body_cap: int, counts: Counter[str]) -> None:
        self._counts = counts
        self._cap = body_cap
        self._late = not from_start
        self._opening = {way: _Opening(from_start, counts) for way in Direction}
        self._talk: _Talk | None = None
        self.verdict: Bytes | None = None

    @property
    def waiting(self) -> bool:
        """Whether a response waits for its request."""
        return self._talk is not None and self._talk.responses.waiting is not None

    @property
    def held(self) -> int:
        """Bytes of memory kept."""
        if self._talk is not None:
            return self._talk.held
        return sum(opening.held for opening in self._opening.values())

    def read(self, direction: Direction, segments: list[Segment], now_ns: int) -> list[Spoken]:
        """The exchanges that the next segments of one half settle."""
        for at, segment in enumerate(segments):
            if self._talk is not None:
                self._talk.receive(direction, segment)
                continue
            self._open(direction, segment)
            if self.verdict is not None:
                self._count(self.verdict, segments[at + 1 :])
                return []
        return self.tick(now_ns)

    def tick(self, now_ns: int) -> list[Spoken]:
        """What can be told now, be it because of the time."""
        if self._talk is None:
            return []
        spoken = self._talk.advance(now_ns)
        self.verdict = self._talk.verdict
        return spoken

    def end(self, *, closed: bool, leftover: Bytes) -> list[Spoken]:
        """What is left. `closed`: the connection ended; else we stop watching it."""
        if self._talk is not None:
            return self._talk.end(closed, leftover)
        self._abandon(leftover)
        return []

    def _open(self, direction: Direction, segment: Segment) -> None:
        kind = self._opening[direction].offer(segment)
        if kind is Kind.REQUEST:
            self._begin(direction)
        elif kind is Kind.RESPONSE:
            self._begin(_OTHER_WAY[direction])
        elif kind in _VERDICTS:
            self._dismiss(_VERDICTS[kind])
        elif sum(opening.search.passed for opening in self._opening.values()) > SEARCH_BYTES:
            self._dismiss(Bytes.NOT_HTTP)

    def _begin(self, asking: Direction) -> None:
        talk = self._talk = _Talk(asking, self._opening, self._late, self._cap, self._counts)
        for way, opening in self._opening.items():
            for segment in opening.take():
                talk.receive(way, segment)

    def _dismiss(self, verdict: Bytes) -> None:
        self.verdict = verdict
        self._abandon(verdict)

    def _abandon(self, bucket: Bytes) -> None:
        for opening in self._opening.values():
            self._count(bucket, opening.take())

    def _count(self, bucket: Bytes, segments: Sequence[Segment]) -> None:
        for segment in segments:
            if isinstance(segment, Data):
                self._counts[bucket] += len(segment.data)


class _Talk:
    """A conversation of which it is known that `asking` is the direction of the requests."""

    def __init__(
        self,
        asking: Direction,
        opening: dict[Direction, _Opening],
        late: bool,
        cap: int,
        counts: Counter[str],
    ) -> None:
        asks, answers = opening[asking], opening[_OTHER_WAY[asking]]
        self._asking = asking
        self._role = Role.CLIENT if asking is Direction.SENT else Role.SERVER
        self._pair = Pair(
            late=late, fenced=not asks.whole, response_lost=not answers.whole, lost_ns=answers.lost_ns
        )
        self._requests = RequestReader(counts, cap, synced=asks.whole)
        self.responses = ResponseReader(counts, cap, synced=answers.whole)
        self.verdict: Bytes | None = None

    @property
    def held(self) -> int:
        return self._requests.held + self.responses.held + self._pair.held

    def receive(self, direction: Direction, segment: Segment) -> None:
        if direction is self._asking:
            self._requests.receive(segment)
        else:
            self.responses.receive(segment)

    def advance(self, now_ns: int) -> list[Spoken]:
        self._read(now_ns, must=False)
        if self._pair.upgraded is not None:
            self._stop(Bytes.OPAQUE)
        elif self._pair.switching and self._requests.backlog > HOLD_BYTES:
            self._stop(Bytes.OPAQUE)  # the answer was not seen, but by the amount it must have been yes
        elif self._requests.hopeless or self.responses.hopeless:
            self._stop(Bytes.NOT_HTTP)
        return self._spoken()

    def end(self, closed: bool, leftover: Bytes) -> list[Spoken]:
        self._read(0, must=True)
        if self._pair.upgraded is not None or self._pair.switching:
            leftover = Bytes.OPAQUE
        self._finish(closed, leftover)
        return self._spoken()

    def _read(self, now_ns: int, must: bool) -> None:
        pair = self._pair
        while True:
            self._read_requests()
            switching = pair.switching
            self._read_responses(now_ns, must)
            if not switching or pair.switching or pair.upgraded is not None:
                return  # else the offer was declined, and what was held back are requests

    def _read_requests(self) -> None:
        requests, pair = self._requests, self._pair
        while not pair.switching and (fact := requests.next()) is not None:
            pair.on_request(fact)

    def _read_responses(self, now_ns: int, must: bool) -> None:
        responses, pair = self.responses, self._pair
        while pair.upgraded is None:
            if (fact := responses.next()) is not None:
                pair.on_response(fact)
                continue
            began = responses.waiting
            if began is None:
                return
            decide = must or now_ns - began >= HOLD_NS or responses.backlog > HOLD_BYTES
            if not pair.bind(began, decide):
                return
            responses.answer(pair.method)

    def _stop(self, verdict: Bytes) -> None:
        self.verdict = verdict
        self._finish(False, verdict)

    def _finish(self, closed: bool, leftover: Bytes) -> None:
        """Settles what has begun; what is not read by now goes to `leftover`."""
        requests, responses, pair = self._requests, self.responses, self._pair
        cut_response = responses.within_head
        requests.end(closed, leftover)
        while (asked := requests.next()) is not None:
            pair.on_request(asked)
        responses.end(closed, leftover)
        while (answered := responses.next()) is not None:
            pair.on_response(answered)
        pair.end(closed, cut_response)

    def _spoken(self) -> list[Spoken]:
        return [(self._role, exchange) for exchange in self._pair.take()]
