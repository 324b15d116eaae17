"""The connection table: events in, ordered segments to each connection's conversation, its facts out.

| connection | Opened     | Chunk                          | verdict   | no room, idle | Closed  |
|------------|------------|--------------------------------|-----------|---------------|---------|
| unknown    | read       | read, late unless `from_start` |           |               | unknown |
| read       | read anew  | read                           | dismissed | evicted, or   | unknown |
|            |            |                                |           | dismissed if  |         |
|            |            |                                |           | that is the   |         |
|            |            |                                |           | end of it     |         |
| dismissed  | read       | counted in its bucket          |           | unknown       | unknown |
| evicted    | read       | read, late, from its position  |           | unknown       | unknown |

The table is bounded in connections and in bytes held; the least recently used gives way. One that is
interrupted is evicted. Of dismissed and evicted connections only the positions are kept
(`agent/streams/finished.py`).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection
from typing import Generic

from agent.events import Address, Chunk, Closed, ConnectionKey, Direction, Opened
from agent.frozen import dataclass
from agent.ledger import Bytes, Ledger
from agent.streams.conversation import ConnectionInfo, Conversation, Dismissed, Fact
from agent.streams.finished import Finished, Past, Positions
from agent.streams.half import WINDOW, Data, Gap, GapReason, Half, Segment, Window


@dataclass(frozen=True, slots=True)
class Limits:
    """`remembered` counts connections of which only the position is kept; `held_bytes` is the memory for
    reordering, incomplete messages and bodies, over all connections.
    """

    connections: int = 16_384
    remembered: int = 65_536
    held_bytes: int = 64 << 20
    idle_ns: int = 600 * 1_000_000_000
    window: Window = WINDOW


class _Entry(Generic[Fact]):
    __slots__ = ("both", "conversation", "halves", "held", "key", "last_ns", "local", "peer", "pid")

    def __init__(
        self, key: ConnectionKey, conversation: Conversation[Fact], halves: dict[Direction, Half]
    ) -> None:
        self.key = key
        self.conversation = conversation
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
        return self.conversation.waiting or sent.waiting or received.waiting

    @property
    def memory(self) -> int:
        sent, received = self.both
        return self.conversation.held + sent.pending_bytes + received.pending_bytes

    def learn(self, event: Opened | Chunk) -> None:
        if event.time_ns > self.last_ns:
            self.last_ns = event.time_ns
        if event.local is not None:
            self.local = event.local
        if event.peer is not None:
            self.peer = event.peer


class Table(Generic[Fact]):
    """`conversation` creates that of a new connection, given whether it is captured from its first byte.

    Facts come with their connection; a `Dismissed` comes once for each connection that is no longer read.
    """

    def __init__(
        self, limits: Limits, ledger: Ledger, conversation: Callable[[bool], Conversation[Fact]]
    ) -> None:
        self._limits = limits
        self._counts: Counter[str] = ledger.bytes
        self._conversation = conversation
        self._entries: OrderedDict[ConnectionKey, _Entry[Fact]] = OrderedDict()
        self._finished = Finished(limits.remembered, ledger.bytes)
        self._waiting: dict[ConnectionKey, _Entry[Fact]] = {}
        self._facts: list[tuple[ConnectionInfo, Fact] | Dismissed] = []
        self.held = 0  # bytes of memory, over all connections
        self.older = 0  # connections that passed bytes and had begun before capture
        self.capped_as = Bytes.CAPPED
        """The bucket of the parts of bodies that the source leaves out."""

    def __len__(self) -> int:
        return len(self._entries)

    def ends(self, key: ConnectionKey) -> tuple[Address | None, Address | None]:
        """The local address and the peer's, as known now; None where not, or no longer."""
        entry = self._entries.get(key)
        return (None, None) if entry is None else (entry.local, entry.peer)

    def feed(self, event: Opened | Chunk | Closed) -> list[tuple[ConnectionInfo, Fact] | Dismissed]:
        """The facts that `event` completes."""
        if isinstance(event, Chunk):
            self._chunk(event)
        elif isinstance(event, Opened):
            self._opened(event)
        else:
            self._finished.forget(event.connection)
            self._close(event.connection, event.time_ns, closed=True)
        return self._take()

    def tick(self, now_ns: int) -> list[tuple[ConnectionInfo, Fact] | Dismissed]:
        """Gives up waiting for missing chunks, and evicts connections idle for too long."""
        for entry in list(self._waiting.values()):
            self._expire(entry, now_ns)
            self._add(entry, entry.conversation.advance(now_ns))
            self._update(entry)
        while self._entries:
            entry = next(iter(self._entries.values()))
            if now_ns - entry.last_ns < self._limits.idle_ns:
                break
            self._evict(entry, Bytes.UNSYNCED)
        return self._take()

    def interrupt(self, pids: Collection[int]) -> list[tuple[ConnectionInfo, Fact] | Dismissed]:
        """Ends what is read of these processes' connections: bytes passed that no position counts. Later ones
        are read from their next message on.
        """
        for entry in [entry for entry in self._entries.values() if entry.pid in pids]:
            self._evict(entry, Bytes.UNSYNCED)
        return self._take()

    def finish(self, now_ns: int) -> list[tuple[ConnectionInfo, Fact] | Dismissed]:
        """The facts of everything held: capture has ended."""
        for key in list(self._entries):
            self._close(key, now_ns, closed=False)
        self._finished.clear()
        return self._take()

    def _take(self) -> list[tuple[ConnectionInfo, Fact] | Dismissed]:
        facts, self._facts = self._facts, []
        return facts

    def _add(self, entry: _Entry[Fact], facts: list[Fact]) -> None:
        while (successor := entry.conversation.successor) is not None:
            entry.conversation = successor
        if facts:
            info = ConnectionInfo(entry.key, entry.pid, entry.local, entry.peer, entry.conversation.role)
            self._facts += [(info, fact) for fact in facts]

    def _opened(self, event: Opened) -> None:
        key = event.connection
        self._finished.forget(key)
        self._close(key, event.time_ns, closed=True)
        self._enter(key, True, {}).learn(event)
        self._make_room()

    def _chunk(self, chunk: Chunk) -> None:
        key = chunk.connection
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        elif self._finished.count(chunk):
            return
        else:
            entry = self._enter_late(chunk)
        entry.learn(chunk)
        entry.pid = chunk.pid
        if key in self._waiting:
            self._expire(entry, chunk.time_ns)
        self._read(entry, chunk.direction, entry.halves[chunk.direction].add(chunk), chunk.time_ns)
        self._update(entry)
        if self.held > self._limits.held_bytes:
            self._make_room()

    def _enter_late(self, chunk: Chunk) -> _Entry[Fact]:
        """Adds a connection whose opening was not seen, or that was evicted."""
        past = self._finished.resume(chunk.connection)
        if past is None:
            if not chunk.from_start and chunk.connection.pid is None:  # not the library's above it as well
                self.older += 1
            entry = self._enter(chunk.connection, chunk.from_start, {})
        else:
            entry = self._enter(chunk.connection, False, past.positions)
            entry.last_ns = past.last_ns  # for the next eviction, if only late chunks follow
            self._state_eviction(entry, past.last_ns)
        self._make_room()
        return entry

    def _expire(self, entry: _Entry[Fact], now_ns: int) -> None:
        for direction, half in entry.halves.items():
            self._read(entry, direction, half.expire(now_ns), now_ns)

    def _read(self, entry: _Entry[Fact], direction: Direction, segments: list[Segment], now_ns: int) -> None:
        if not segments:
            return
        self._count_uncaptured(segments)
        verdict = entry.conversation.verdict
        if verdict is None:
            self._add(entry, entry.conversation.receive(direction, segments, now_ns))
        else:
            self._count_data(verdict, segments)

    def _update(self, entry: _Entry[Fact]) -> None:
        """Applies what reading has changed: verdict, waiting, bytes held."""
        verdict = entry.conversation.verdict
        if verdict is not None:
            self._drop_pending(entry, verdict)
            self._leave(entry)
            self._remember(entry, verdict)
            self._facts.append(Dismissed(entry.key, verdict))
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
        self._add(entry, entry.conversation.end(closed=False, leftover=leftover))
        verdict = entry.conversation.verdict
        self._remember(entry, verdict)
        if verdict is not None:
            self._facts.append(Dismissed(entry.key, verdict))

    def _close(self, key: ConnectionKey, now_ns: int, closed: bool) -> None:
        entry = self._entries.get(key)
        if entry is None:
            return
        for direction, half in entry.halves.items():
            self._read(entry, direction, half.flush(), now_ns)
        self._leave(entry)
        if entry.conversation.verdict is None:
            self._add(entry, entry.conversation.end(closed=closed, leftover=Bytes.UNSYNCED))

    def _enter(self, key: ConnectionKey, from_start: bool, positions: Positions) -> _Entry[Fact]:
        window = self._limits.window
        halves = {way: Half(self._counts, window, positions.get(way, 0)) for way in Direction}
        entry = _Entry(key, self._conversation(from_start), halves)
        self._entries[key] = entry
        return entry

    def _state_eviction(self, entry: _Entry[Fact], at_ns: int) -> None:
        """Bytes held at the eviction are gone, so the other half of earlier messages may be lost."""
        for direction in Direction:
            entry.conversation.receive(direction, [Gap(at_ns, 0, GapReason.LOST)], at_ns)

    def _leave(self, entry: _Entry[Fact]) -> None:
        del self._entries[entry.key]
        self._waiting.pop(entry.key, None)
        self.held -= entry.held

    def _remember(self, entry: _Entry[Fact], bucket: Bytes | None) -> None:
        positions = {direction: half.position for direction, half in entry.halves.items()}
        self._finished.add(entry.key, Past(bucket, positions, entry.last_ns))

    def _drop_pending(self, entry: _Entry[Fact], bucket: Bytes) -> None:
        for half in entry.halves.values():
            rest = half.flush()
            self._count_uncaptured(rest)
            self._count_data(bucket, rest)

    def _count_uncaptured(self, segments: list[Segment]) -> None:
        for segment in segments:
            if isinstance(segment, Gap) and segment.why is not GapReason.LOST:
                is_capped = segment.why is GapReason.CAPPED
                self._counts[self.capped_as if is_capped else Bytes.UNCAPTURED] += segment.length

    def _count_data(self, bucket: Bytes, segments: list[Segment]) -> None:
        for segment in segments:
            if isinstance(segment, Data):
                self._counts[bucket] += len(segment.data)
