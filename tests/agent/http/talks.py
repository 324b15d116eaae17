"""Conversations as tests write them: who sent which bytes, cut into chunks, through `Connections`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from agent.events import Address, Chunk, Closed, ConnectionKey, Direction, Event, Opened, Role, Tick
from agent.http.connections import ObservedExchange, connections
from agent.http.messages import Exchange
from agent.ledger import Bytes, Ledger
from agent.streams.conversation import Dismissed
from agent.streams.table import Limits

C, S = Direction.SENT, Direction.RECEIVED  # captured at the client
KEY = ConnectionKey("socket", 0xFFFF0001, 1)
LOCAL, PEER = Address("10.0.0.1", 40000), Address("10.0.0.2", 80)
STEP_NS = 1_000_000

Steps = list[tuple[Direction, bytes]]


def chunks(steps: Iterable[tuple[Direction, bytes]], from_start: bool = True) -> list[Chunk]:
    """One chunk per step, a millisecond apart, numbered by position."""
    at = {C: 0, S: 0}
    made = []
    for n, (way, data) in enumerate(steps):
        made.append(chunk(way, at[way], data, (n + 1) * STEP_NS, from_start))
        at[way] += len(data)
    return made


def chunk(way: Direction, position: int, data: bytes, time_ns: int, from_start: bool = True) -> Chunk:
    return Chunk(time_ns, KEY, way, position, len(data), data, 7, LOCAL, PEER, None, from_start)


def cut(chunk: Chunk, at: int) -> list[Chunk]:
    """The two parts of a chunk, both non-empty if `at` allows."""
    left = replace(chunk, data=chunk.data[:at], length=at)
    right = replace(chunk, data=chunk.data[at:], length=chunk.length - at, position=chunk.position + at)
    return [part for part in (left, right) if part.length]


def bytewise(made: list[Chunk]) -> list[Chunk]:
    return [
        replace(c, position=c.position + n, data=c.data[n : n + 1], length=1)
        for c in made
        for n in range(c.length)
    ]


def recut(made: list[Chunk], at: int) -> list[Chunk]:
    """The same bytes, with one more cut after `at` bytes of the whole conversation."""
    out = []
    for piece in made:
        out += cut(piece, at) if 0 < at < piece.length else [piece]
        at -= piece.length
    return out


@dataclass(frozen=True)
class Seen:
    """An exchange, its connection, and the side of the captured process."""

    connection: ConnectionKey
    role: Role | None
    exchange: Exchange


def seen_in(facts: Iterable[ObservedExchange | Dismissed]) -> list[Seen]:
    """The exchanges among a table's facts."""
    return [
        Seen(fact[0].connection, fact[0].role, fact[1]) for fact in facts if not isinstance(fact, Dismissed)
    ]


@dataclass
class Told:
    """The result of parsing a conversation."""

    seen: list[Seen]
    ledger: Ledger
    dismissed: list[Bytes]
    held: int

    @property
    def exchanges(self) -> list[Exchange]:
        return [seen.exchange for seen in self.seen]


def tell(
    events: Iterable[Event],
    *,
    opened: bool = True,
    closed: bool = True,
    cap: int = 65536,
    limits: Limits | None = None,
    text_cap: int = 0,
) -> Told:
    """Feeds the events and ends the connection."""
    ledger = Ledger()
    table = connections(limits or Limits(), cap, ledger, text_cap)
    facts: list[ObservedExchange | Dismissed] = []
    last = 0
    if opened:
        facts += table.feed(Opened(0, KEY, LOCAL, PEER, Role.CLIENT))
    for event in events:
        assert isinstance(event, (Opened, Chunk, Closed, Tick))
        last = max(last, event.time_ns)
        facts += table.tick(last) if isinstance(event, Tick) else table.feed(event)
    if closed:
        facts += table.feed(Closed(last + 1, KEY))
    facts += table.finish(last + 2)
    seen = seen_in(facts)
    dismissed = [fact.bucket for fact in facts if isinstance(fact, Dismissed)]
    return Told(seen, ledger, dismissed, table.held)
