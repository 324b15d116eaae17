"""The connection table: events in, ordered segments to one reader per connection, its facts out.

The table is bounded in connections and in bytes held; the least recently used gives way. Of connections
that are finished with (not HTTP, evicted) it remembers the position, so that each byte is counted
once whatever comes after.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from agent.events import Address, Chunk, Closed, ConnectionKey, Direction, Opened
from agent.frozen import dataclass
from agent.ledger import Bytes, Ledger
from agent.streams.half import WINDOW, Data, Gap, Half, Segment, Why, Window


@dataclass(frozen=True, slots=True)
class Limits:
    """`remembered` are the connections of which only the position is kept; `held_bytes` is the memory
    for reordering, unfinished messages and bodies over all connections.
    """

    connections: int = 16_384
    remembered: int = 65_536
    held_bytes: int = 64 << 20
    idle_ns: int = 600 * 1_000_000_000
    window: Window = WINDOW


UNCOPIED = {Why.UNCAPTURED: Bytes.UNCAPTURED, Why.CAPPED: Bytes.CAPPED}

Fact = TypeVar("Fact")


class Reader(Protocol[Fact]):
    """What reads one connection. It counts every byte of Data it is given; the table counts the rest of
    what comes. Bytes that never came are counted where they were lost.

    `verdict`: the bucket for all further bytes, once there is nothing more to read here. `waiting`:
    whether `tick` may have something to tell. `held`: bytes of memory kept.
    """

    @property
    def verdict(self) -> Bytes | None: ...

    @property
    def waiting(self) -> bool: ...

    @property
    def held(self) -> int: ...

    def read(self, direction: Direction, segments: list[Segment], now_ns: int) -> list[Fact]: ...

    def tick(self, now_ns: int) -> list[Fact]: ...

    def end(self, *, closed: bool, leftover: Bytes) -> list[Fact]: ...


@dataclass(frozen=True, slots=True)
class Ends:
    """What is known of a connection; addresses may come late. `pid` is of the last chunk."""

    connection: ConnectionKey
    pid: int | None
    local: Address | None
    peer: Address | None


@dataclass(frozen=True, slots=True)
class Dismissed:
    """Nothing more of this connection will be read: what still comes of it is counted in `bucket`, and a
    live source may stop sending it.
    """

    connection: ConnectionKey
    bucket: Bytes


class _Entry(Generic[Fact]):
    __slots__ = ("both", "halves", "held", "key", "last_ns", "local", "peer", "pid", "reader")

    def __init__(self, key: ConnectionKey, reader: Reader[Fact], halves: dict[Direction, Half]) -> None:
        self.key = key
        self.reader = reader
        self.halves = halves
        self.both = (self.halves[Direction.SENT], self.halves[Direction.RECEIVED])
        self.held = 0
        self.last_ns = 0
        self.pid: int | None = None
        self.local: Address | None = None
        self.peer: Address | None = None

    @property
    def waiting(self) -> bool:
        sent, received = self.both
        return self.reader.waiting or sent.waiting or received.waiting

    @property
    def memory(self) -> int:
        sent, received = self.both
        return self.reader.held + sent.pending_bytes + received.pending_bytes

    def learn(self, event: Opened | Chunk) -> None:
        if event.time_ns > self.last_ns:
            self.last_ns = event.time_ns
        if event.local is not None:
            self.local = event.local
        if event.peer is not None:
            self.peer = event.peer


_Positions = dict[Direction, int]


@dataclass(slots=True)
class _Finished:
    """`bucket` is None where the connection may be read again, as a late join. `last_ns`: its last event."""

    bucket: Bytes | None
    positions: _Positions
    last_ns: int


class Table(Generic[Fact]):
    """`reader` makes the reader of a new connection, told whether it is seen from its first byte.

    Facts come with the connection they are of; among them a `Dismissed`, once for each connection that
    nobody reads any more.
    """

    def __init__(
        self,
        limits: Limits,
        ledger: Ledger,
        reader: Callable[[bool], Reader[Fact]],
    ) -> None:
        self._limits = limits
        self._counts: Counter[str] = ledger.bytes
        self._reader = reader
        self._entries: OrderedDict[ConnectionKey, _Entry[Fact]] = OrderedDict()
        self._finished: OrderedDict[ConnectionKey, _Finished] = OrderedDict()
        self._waiting: dict[ConnectionKey, _Entry[Fact]] = {}
        self._told: list[tuple[Ends, Fact] | Dismissed] = []
        self.held = 0  # bytes of memory, over all connections

    def __len__(self) -> int:
        return len(self._entries)

    def feed(self, event: Opened | Chunk | Closed) -> list[tuple[Ends, Fact] | Dismissed]:
        """What the event settles."""
        if isinstance(event, Chunk):
            self._chunk(event)
        elif isinstance(event, Opened):
            self._opened(event)
        else:
            self._finished.pop(event.connection, None)
            self._close(event.connection, event.time_ns, closed=True)
        return self._tell()

    def tick(self, now_ns: int) -> list[tuple[Ends, Fact] | Dismissed]:
        """Time has passed: gives up waiting for what is missing, and on connections idle for too long."""
        for entry in list(self._waiting.values()):
            self._expire(entry, now_ns)
            self._hear(entry, entry.reader.tick(now_ns))
            self._update(entry)
        while self._entries:
            entry = next(iter(self._entries.values()))
            if now_ns - entry.last_ns < self._limits.idle_ns:
                break
            self._evict(entry, Bytes.UNSYNCED)
        return self._tell()

    def finish(self, now_ns: int) -> list[tuple[Ends, Fact] | Dismissed]:
        """We stop watching: everything held is told or counted."""
        for key in list(self._entries):
            self._close(key, now_ns, closed=False)
        self._finished.clear()
        return self._tell()

    def _tell(self) -> list[tuple[Ends, Fact] | Dismissed]:
        told, self._told = self._told, []
        return told

    def _hear(self, entry: _Entry[Fact], facts: list[Fact]) -> None:
        if facts:
            ends = Ends(entry.key, entry.pid, entry.local, entry.peer)
            self._told += [(ends, fact) for fact in facts]

    def _opened(self, event: Opened) -> None:
        key = event.connection
        self._finished.pop(key, None)
        self._close(key, event.time_ns, closed=True)
        self._enter(key, True, {}).learn(event)
        self._make_room()

    def _chunk(self, chunk: Chunk) -> None:
        key = chunk.connection
        entry = self._entries.get(key)
        if entry is None:
            finished = self._finished.pop(key, None)
            if finished is not None and finished.bucket is not None:
                self._finished[key] = finished
                self._count_unread(finished.bucket, finished.positions, chunk)
                return
            positions = {} if finished is None else finished.positions
            entry = self._enter(key, chunk.from_start and finished is None, positions)
            if finished is not None:
                entry.last_ns = finished.last_ns  # for the next eviction, if all that comes now is late
                self._tell_of_eviction(entry, finished.last_ns)
            self._make_room()
        else:
            self._entries.move_to_end(key)
        entry.learn(chunk)
        entry.pid = chunk.pid
        if key in self._waiting:
            self._expire(entry, chunk.time_ns)
        self._read(entry, chunk.direction, entry.halves[chunk.direction].feed(chunk), chunk.time_ns)
        self._update(entry)
        if self.held > self._limits.held_bytes:
            self._make_room()

    def _expire(self, entry: _Entry[Fact], now_ns: int) -> None:
        for way, half in entry.halves.items():
            self._read(entry, way, half.expire(now_ns), now_ns)

    def _read(self, entry: _Entry[Fact], way: Direction, segments: list[Segment], now_ns: int) -> None:
        if not segments:
            return
        self._count_uncaptured(segments)
        verdict = entry.reader.verdict
        if verdict is None:
            self._hear(entry, entry.reader.read(way, segments, now_ns))
        else:
            self._count_data(verdict, segments)

    def _update(self, entry: _Entry[Fact]) -> None:
        """Acts on what reading has changed: the verdict, what waits, what is held."""
        verdict = entry.reader.verdict
        if verdict is not None:
            self._drop_pending(entry, verdict)
            self._leave(entry)
            self._remember(entry, verdict)
            self._told.append(Dismissed(entry.key, verdict))
            return
        if entry.waiting:
            self._waiting[entry.key] = entry
        elif self._waiting:
            self._waiting.pop(entry.key, None)
        held = entry.memory
        self.held += held - entry.held
        entry.held = held

    def _make_room(self) -> None:
        limits = self._limits
        while len(self._entries) > limits.connections or (
            self.held > limits.held_bytes and len(self._entries) > 1
        ):
            self._evict(next(iter(self._entries.values())), Bytes.TABLE_FULL)

    def _evict(self, entry: _Entry[Fact], leftover: Bytes) -> None:
        self._drop_pending(entry, leftover)
        self._leave(entry)
        self._remember(entry, None)
        self._hear(entry, entry.reader.end(closed=False, leftover=leftover))

    def _close(self, key: ConnectionKey, now_ns: int, closed: bool) -> None:
        entry = self._entries.get(key)
        if entry is None:
            return
        for way, half in entry.halves.items():
            self._read(entry, way, half.flush(), now_ns)
        self._leave(entry)
        if entry.reader.verdict is None:
            self._hear(entry, entry.reader.end(closed=closed, leftover=Bytes.UNSYNCED))

    def _enter(self, key: ConnectionKey, from_start: bool, positions: _Positions) -> _Entry[Fact]:
        window = self._limits.window
        halves = {way: Half(self._counts, window, positions.get(way, 0)) for way in Direction}
        entry = _Entry(key, self._reader(from_start), halves)
        self._entries[key] = entry
        return entry

    def _tell_of_eviction(self, entry: _Entry[Fact], at_ns: int) -> None:
        """What was held then is gone, so that what is late from before then may have lost its other half."""
        for way in Direction:
            entry.reader.read(way, [Gap(at_ns, 0, Why.LOST)], at_ns)

    def _leave(self, entry: _Entry[Fact]) -> None:
        del self._entries[entry.key]
        self._waiting.pop(entry.key, None)
        self.held -= entry.held

    def _remember(self, entry: _Entry[Fact], bucket: Bytes | None) -> None:
        positions = {way: half.position for way, half in entry.halves.items()}
        self._finished[entry.key] = _Finished(bucket, positions, entry.last_ns)
        if len(self._finished) > self._limits.remembered:
            self._finished.popitem(last=False)

    def _drop_pending(self, entry: _Entry[Fact], bucket: Bytes) -> None:
        for half in entry.halves.values():
            rest = half.flush()
            self._count_uncaptured(rest)
            self._count_data(bucket, rest)

    def _count_unread(self, bucket: Bytes, positions: _Positions, chunk: Chunk) -> None:
        seen, end = positions[chunk.direction], chunk.position + chunk.length
        fresh = min(chunk.length, max(0, end - seen))
        self._counts[bucket] += fresh
        if fresh < chunk.length:
            self._counts[Bytes.LATE] += chunk.length - fresh
        positions[chunk.direction] = max(seen, end)

    def _count_uncaptured(self, segments: list[Segment]) -> None:
        for segment in segments:
            if isinstance(segment, Gap) and segment.why is not Why.LOST:
                self._counts[UNCOPIED[segment.why]] += segment.length

    def _count_data(self, bucket: Bytes, segments: list[Segment]) -> None:
        for segment in segments:
            if isinstance(segment, Data):
                self._counts[bucket] += len(segment.data)
