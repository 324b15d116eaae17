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
from agent.streams.sniff import Kind, Search, sniff
from agent.streams.table import Ends, Limits, Reader, Table

SEARCH_BYTES = 1 << 20
"""Bytes in which no HTTP message starts, after which a connection without any is not HTTP."""

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


@dataclass(frozen=True, slots=True)
class Spoken:
    """An exchange and the role of the watched process in it."""

    role: Role
    exchange: Exchange


def _seen(told: tuple[Ends, Spoken]) -> Seen:
    ends, spoken = told
    return Seen(ends.connection, ends.pid, ends.local, ends.peer, spoken.role, spoken.exchange)


class _Opening:
    """One half before it is known which one carries the requests."""

    __slots__ = ("first", "lost_ns", "search")

    def __init__(self, from_start: bool, counts: Counter[str]) -> None:
        self.first: list[Data] | None = [] if from_start else None  # None: joined late, or after a hole
        self.search = Search(counts)
        self.lost_ns = -1  # time of the last hole

    def offer(self, segment: Segment) -> Kind:
        """What the half speaks, as far as this segment tells."""
        if isinstance(segment, Gap):
            self.search.held += self.first or []
            self.search.drop()
            self.first = None
            self.lost_ns = segment.time_ns
            return Kind.UNDECIDED
        if self.first is None:
            kind = self.search.offer(segment)
            return Kind.UNDECIDED if kind is Kind.OTHER else kind
        self.first.append(segment)
        return sniff(segment.data if len(self.first) == 1 else b"".join(s.data for s in self.first))

    @property
    def whole(self) -> bool:
        """Whether the half was seen from its first byte."""
        return self.first is not None

    @property
    def held(self) -> int:
        return sum(len(segment.data) for segment in self.first or self.search.held)

    def take(self) -> list[Data]:
        """What was offered and not passed over."""
        return self.search.take() if self.first is None else self.first


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
        elif self._pair.switching and self._requests.queued > HOLD_BYTES:
            self._stop(Bytes.OPAQUE)  # the answer was not seen, but by the amount it must have been yes
        elif any(not r.read_any and r.passed > SEARCH_BYTES for r in (self._requests, self.responses)):
            self._stop(Bytes.NOT_HTTP)
        return self._spoken()

    def end(self, closed: bool, leftover: Bytes) -> list[Spoken]:
        self._read(0, must=True)
        if self._pair.upgraded is not None or self._pair.switching:
            leftover = Bytes.OPAQUE
        self._finish(closed, leftover)
        return self._spoken()

    def _read(self, now_ns: int, must: bool) -> None:
        requests, responses, pair = self._requests, self.responses, self._pair
        while pair.upgraded is None:
            while not pair.switching and (asked := requests.next()) is not None:
                pair.on_request(asked)
            began = responses.waiting
            if began is not None:
                decide = must or now_ns - began >= HOLD_NS or responses.queued > HOLD_BYTES
                if not pair.bind(began, decide):
                    return
                responses.answer(pair.method)
            answered = responses.next()
            if answered is not None:
                pair.on_response(answered)
            elif responses.waiting is None:
                return

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
        return [Spoken(self._role, exchange) for exchange in self._pair.take()]
