"""The table bounds connections and memory, and counts each byte once even if it evicts it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agent.events import Address, Chunk, Closed, ConnectionKey, Direction, Opened, Role
from agent.ledger import Bytes, Ledger
from agent.streams.conversation import ConnectionInfo, Dismissed
from agent.streams.half import Data, Segment
from agent.streams.table import Limits, Table

SECOND = 1_000_000_000


@dataclass
class Echo:
    """A conversation that returns each segment's bytes, and stops at a byte that asks for it."""

    ledger: Ledger
    from_start: bool
    verdict: Bytes | None = None
    waiting: bool = False
    successor: None = None
    role: Role | None = Role.CLIENT
    held: int = 0
    ended: list[str] = field(default_factory=list)

    def receive(self, direction: Direction, segments: list[Segment], now_ns: int) -> list[str]:
        told = []
        for segment in segments:
            if isinstance(segment, Data):
                self.ledger.bytes[Bytes.PARSED] += len(segment.data)
                self.held += len(segment.data)
                told.append(segment.data.decode())
                if b"!" in segment.data:
                    self.verdict = Bytes.NOT_HTTP
        return told

    def advance(self, now_ns: int) -> list[str]:
        return []

    def end(self, *, closed: bool, leftover: Bytes) -> list[str]:
        return [f"end {closed} {leftover}"]


class World:
    """A table of echo conversations."""

    def __init__(self, limits: Limits) -> None:
        self.ledger = Ledger()
        self.echoes: list[Echo] = []
        self.dismissed: list[tuple[ConnectionKey, Bytes]] = []
        self.table: Table[str] = Table(limits, self.ledger, self.reader)

    def reader(self, from_start: bool) -> Echo:
        self.echoes.append(Echo(self.ledger, from_start))
        return self.echoes[-1]

    def feed(self, event: Opened | Chunk | Closed) -> list[str]:
        return self.told(self.table.feed(event))

    def told(self, facts: list[tuple[ConnectionInfo, str] | Dismissed]) -> list[str]:
        self.dismissed += [(fact.connection, fact.bucket) for fact in facts if isinstance(fact, Dismissed)]
        return [fact[1] for fact in facts if not isinstance(fact, Dismissed)]

    def ends(self, event: Chunk) -> ConnectionInfo:
        (fact,) = self.table.feed(event)
        assert not isinstance(fact, Dismissed)
        return fact[0]


def key(n: int) -> ConnectionKey:
    return ConnectionKey("socket", n, 1)


def chunk(n: int, position: int, data: bytes, at: int = 0) -> Chunk:
    return Chunk(at, key(n), Direction.SENT, position, len(data), data, 7, None, None, None, True)


def test_the_least_recently_used_connection_gives_way() -> None:
    world = World(Limits(connections=2))
    world.feed(chunk(1, 0, b"a"))
    world.feed(chunk(2, 0, b"b"))
    world.feed(chunk(1, 1, b"c"))
    assert world.feed(chunk(3, 0, b"d")) == ["end False table_full", "d"]
    assert len(world.table) == 2


def test_what_an_evicted_connection_held_for_reordering_is_counted_so() -> None:
    world = World(Limits(connections=1))
    world.feed(chunk(1, 4, b"late"))
    world.feed(chunk(2, 0, b"b"))
    assert world.ledger.bytes == {Bytes.TABLE_FULL: 4, Bytes.PARSED: 1}


def test_an_evicted_connection_goes_on_as_a_late_join_where_it_was() -> None:
    world = World(Limits(connections=1))
    world.feed(chunk(1, 0, b"abc"))
    world.feed(chunk(2, 0, b"x"))
    assert world.feed(chunk(1, 3, b"d"))[-1] == "d"
    assert [echo.from_start for echo in world.echoes] == [True, True, False]
    assert world.ledger.bytes == {Bytes.PARSED: 5}


def test_held_memory_is_bounded_over_all_connections() -> None:
    world = World(Limits(held_bytes=100))
    for n in range(50):
        world.feed(chunk(n, 0, b"a" * 30))
        assert world.table.held <= 100
    assert len(world.table) == 3


def test_a_verdict_dismisses_the_connection_once_and_names_its_bytes() -> None:
    world = World(Limits())
    world.feed(chunk(1, 0, b"no!"))
    assert world.feed(chunk(1, 3, b"more")) == []
    assert world.feed(chunk(1, 3, b"more")) == []
    world.feed(chunk(1, 10, b"jump"))
    assert world.dismissed == [(key(1), Bytes.NOT_HTTP)]
    assert world.ledger.bytes == {Bytes.PARSED: 3, Bytes.NOT_HTTP: 4 + 4, Bytes.LATE: 4}
    assert len(world.table) == 0


def test_what_is_remembered_is_bounded() -> None:
    world = World(Limits(remembered=10))
    for n in range(1000):
        world.feed(chunk(n, 0, b"!"))
    assert len(world.table._finished) == 10


def test_an_idle_connection_is_ended_by_event_time() -> None:
    world = World(Limits(idle_ns=10 * SECOND))
    world.feed(chunk(1, 0, b"a", at=SECOND))
    world.feed(chunk(2, 0, b"b", at=5 * SECOND))
    assert world.told(world.table.tick(11 * SECOND)) == ["end False unsynced"]
    assert len(world.table) == 1


def test_closing_flushes_and_forgets() -> None:
    world = World(Limits())
    world.feed(chunk(1, 0, b"a"))
    world.feed(chunk(1, 2, b"c"))
    assert world.feed(Closed(1, key(1))) == ["c", "end True unsynced"]
    assert world.feed(Closed(2, key(1))) == []
    assert world.table.held == 0


def test_opening_again_ends_the_life_before() -> None:
    world = World(Limits())
    world.feed(chunk(1, 0, b"a"))
    assert world.feed(Opened(1, key(1), None, None, None)) == ["end True unsynced"]
    assert world.feed(chunk(1, 0, b"b")) == ["b"]
    assert [echo.from_start for echo in world.echoes] == [True, True]


def test_a_tick_gives_up_on_what_is_missing() -> None:
    world = World(Limits())
    world.feed(chunk(1, 2, b"c", at=1))
    assert world.told(world.table.tick(1 + SECOND)) == ["c"]
    assert world.ledger.bytes == {Bytes.PARSED: 1}


def test_addresses_may_come_late_and_the_pid_is_of_the_last_chunk() -> None:
    world = World(Limits())
    world.feed(chunk(1, 0, b"a"))
    late = replace(chunk(1, 1, b"b"), peer=Address("::1", 80), pid=8)
    ends = world.ends(late)
    assert (ends.pid, ends.local, ends.peer) == (8, None, Address("::1", 80))
    ends = world.ends(chunk(1, 2, b"c"))
    assert (ends.pid, ends.peer) == (7, Address("::1", 80))


def test_finish_ends_every_connection() -> None:
    world = World(Limits())
    for n in range(3):
        world.feed(chunk(n, 0, b"a"))
    assert world.told(world.table.finish(1)) == ["end False unsynced"] * 3
    assert (len(world.table), world.table.held) == (0, 0)
