"""All connections, each read as the protocol it turns out to speak.

`Connections` is what the pipeline feeds: events in, `Seen` out. A `Conversation` finds out from the first
bytes which protocol a connection speaks and which half carries the requests; from there on a `Talk` reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from agent.events import Address, Chunk, Closed, ConnectionKey, Direction, Opened, Role
from agent.frozen import dataclass
from agent.http.h2.frames import PREFACE, carries_headers, plausible
from agent.http.messages import Exchange
from agent.http.talk import OTHER_WAY, Http1Talk, Http2Talk, Spoken, Talk
from agent.ledger import Bytes, Ledger
from agent.streams.half import Data, Gap, Segment
from agent.streams.sniff import SEARCH_BYTES, Kind, Search, sniff
from agent.streams.table import Dismissed, Ends, Limits, Reader, Table

_VERDICTS = {
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
    """All connections. Those whose further bytes will not be parsed (TLS, another protocol, after an
    upgrade) are named once, as `Dismissed`.
    """

    def __init__(self, limits: Limits, body_cap: int, ledger: Ledger) -> None:
        def conversation(from_start: bool) -> Reader[Spoken]:
            return Conversation(from_start, body_cap, ledger.bytes)

        self._table: Table[Spoken] = Table(limits, ledger, conversation)

    def feed(self, event: Opened | Chunk | Closed) -> Iterator[Seen | Dismissed]:
        """The exchanges that `event` settles."""
        return map(_seen, self._table.feed(event))

    def tick(self, now_ns: int) -> Iterator[Seen | Dismissed]:
        """The exchanges that are settled by time having come to `now_ns` with no event."""
        return map(_seen, self._table.tick(now_ns))

    def finish(self, now_ns: int) -> Iterator[Seen | Dismissed]:
        """Everything that is left, at the end of watching."""
        return map(_seen, self._table.finish(now_ns))

    def __len__(self) -> int:
        return len(self._table)

    @property
    def held(self) -> int:
        """Bytes of memory that wait for the rest of something."""
        return self._table.held


def _seen(told: tuple[Ends, Spoken] | Dismissed) -> Seen | Dismissed:
    if isinstance(told, Dismissed):
        return told
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
            if plausible(segment.data) and carries_headers(segment.data):
                self.search.drop()
                self._first.append(segment)
                return Kind.HTTP2
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
    def prefaced(self) -> bool:
        """Whether this is the half of an HTTP/2 client, as far as its first bytes tell."""
        return bool(self._joined) and PREFACE.startswith(self._joined[: len(PREFACE)])

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
        self._talk: Talk | None = None
        self.verdict: Bytes | None = None

    @property
    def waiting(self) -> bool:
        """Whether a response waits for its request."""
        return self._talk is not None and self._talk.waiting

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
        self._talk = self._talk.successor or self._talk
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
            self._begin(OTHER_WAY[direction])
        elif kind is Kind.HTTP2:
            self._begin_http2(direction)
        elif kind in _VERDICTS:
            self._dismiss(_VERDICTS[kind])
        elif sum(opening.search.passed for opening in self._opening.values()) > SEARCH_BYTES:
            self._dismiss(Bytes.NOT_HTTP)

    def _begin(self, asking: Direction) -> None:
        self._talk = Http1Talk(asking, self._opening, self._late, self._cap, self._counts)
        self._hand_over(self._talk)

    def _begin_http2(self, direction: Direction) -> None:
        """The client starts with the preface, the server with SETTINGS; a late join sees neither."""
        opening = self._opening[direction]
        asking = None
        if opening.whole:
            asking = direction if opening.prefaced else OTHER_WAY[direction]
        whole = {way: self._opening[way].whole for way in Direction}
        self._talk = Http2Talk(asking, whole, self._cap, self._counts)
        self._hand_over(self._talk)

    def _hand_over(self, talk: Talk) -> None:
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
