"""How many clients may be connected, and how long each may take: who is slow keeps nobody out.

| state | what happens | next |
|---|---|---|
| HEAD, the client is to send a request's head | the head is complete | BODY, or ANSWER if it is all |
| | HEAD_S passed since the connection, or the head's first byte | closed: `slow_head` |
| | one more client connects than may, and none has waited here for longer | closed: `displaced` |
| BODY, it sends the body | the body is complete | ANSWER |
| | BODY_S, and 1 s for each BYTES_PER_S of it, passed while it was read from | closed: `slow_body` |
| ANSWER, the server works and writes | the answer is complete | IDLE |
| | the client has taken nothing for UNREAD_S of what waits for it | closed: `unread` |
| IDLE, what was written may still wait for the client | a byte of the next request | HEAD |
| | uvicorn's keep-alive time passed; as in ANSWER; as in HEAD where one more connects | closed |

Where nobody can be displaced, all being in BODY or ANSWER, the newcomer is closed: `turned_away`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from server.peers import LocalCaller

CALLER = "caller"
"""The name under which a request's `state` has the `LocalCaller` of its connection."""
HEAD_S = 15.0
BODY_S = 20.0
BYTES_PER_S = 1024
UNREAD_S = 60.0
SWEEP_S = 1.0  # between two looks at who is late
MOST = 2048  # connections, however many files the process may open
MOST_AT_ONCE = 64  # accepted before the first of them is served
RESERVED = 128  # descriptors for the database's readers, logs and what the server itself connects to


class Phase(Enum):
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    IDLE = auto()


class CloseReason(StrEnum):
    """Why the server closed a connection on its own account."""

    SLOW_HEAD = "slow_head"
    SLOW_BODY = "slow_body"
    UNREAD = "unread"
    DISPLACED = "displaced"
    TURNED_AWAY = "turned_away"


WAITING = frozenset({Phase.HEAD, Phase.IDLE})


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """`at_once` are accepted before the first of them is served; in all `connections` may be open."""

    connections: int = MOST
    at_once: int = MOST_AT_ONCE

    @classmethod
    def of(cls, descriptors: int) -> ConnectionBounds:
        """What so many descriptors of a process allow."""
        room = max(descriptors - RESERVED, descriptors // 2, 8)
        at_once = min(MOST_AT_ONCE, max(1, room // 8))
        return cls(min(MOST, room - 2 * at_once), at_once)


class Connections:
    """All connections of a server. On the event loop's thread, but for `open` and `closed`."""

    def __init__(self, bounds: ConnectionBounds | None = None) -> None:
        self.bounds = bounds or ConnectionBounds()
        self._all: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}  # who has waited longest comes first
        self._sweeping = False
        self.sweeps = 0
        self.closed: Counter[CloseReason] = Counter()

    @property
    def open(self) -> int:
        return len(self._all)

    def made(self, one: Connection) -> None:
        if len(self._all) >= self.bounds.connections:
            longest = next(iter(self._waiting), None)
            if longest is None:
                self.close(one, CloseReason.TURNED_AWAY)
                return
            self.close(longest, CloseReason.DISPLACED)
            self.lost(longest)
        self._all.add(one)
        self.moved(one)
        if not self._sweeping:
            self._sweeping = True
            one.loop.call_later(SWEEP_S, self._sweep, one.loop)

    def moved(self, one: Connection) -> None:
        """A connection is in another state."""
        self._waiting.pop(one, None)
        if one.state in WAITING and one in self._all:
            self._waiting[one] = None

    def lost(self, one: Connection) -> None:
        self._all.discard(one)
        self._waiting.pop(one, None)

    def close(self, one: Connection, why: CloseReason) -> None:
        self.closed[why] += 1
        one.transport.abort()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self.sweeps += 1
        for one in [*self._all]:
            why = one.late(now)
            if why is not None:
                self.close(one, why)
                self.lost(one)
        self._sweeping = bool(self._all)
        if self._sweeping:
            loop.call_later(SWEEP_S, self._sweep, loop)


class Connection(H11Protocol):
    """One client's connection."""

    room: Connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        super().connection_made(transport)
        self.app_state = {**self.app_state, CALLER: LocalCaller(self.client, self.server)}
        self.state = Phase.HEAD
        self._due = self.loop.time() + HEAD_S
        self._unread = 0  # bytes at the last look
        self.room.made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.room.lost(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle = _under_way(self.cycle)
        if cycle is None:
            self._enter(Phase.HEAD, HEAD_S)
        elif cycle.more_body:
            self._enter(Phase.BODY, BODY_S)
            self._due += len(data) / BYTES_PER_S
        else:
            self._enter(Phase.ANSWER, UNREAD_S)

    def on_response_complete(self) -> None:
        self._enter(Phase.IDLE, UNREAD_S)
        super().on_response_complete()

    def late(self, now: float) -> CloseReason | None:
        """Why it is to be closed: the client takes longer than its state allows."""
        if self._waits_for_us():
            self._due = now + UNREAD_S
        if now <= self._due:
            return None
        return {
            Phase.HEAD: CloseReason.SLOW_HEAD,
            Phase.BODY: CloseReason.SLOW_BODY,
        }.get(self.state, CloseReason.UNREAD)

    def _waits_for_us(self) -> bool:
        """Whether it is not the client's turn, or the client took some of what waits for it."""
        if self.state is Phase.HEAD:
            return False
        if self.state is Phase.BODY:
            return self.flow.read_paused
        before, self._unread = self._unread, self.transport.get_write_buffer_size()
        return self._unread == 0 or self._unread != before

    def _enter(self, state: Phase, allowed: float) -> None:
        if state is not self.state:
            self.state = state
            self._due = self.loop.time() + allowed
            self.room.moved(self)


def _under_way(cycle: RequestResponseCycle | None) -> RequestResponseCycle | None:
    """A request that is not answered yet; there is none before the first, whatever uvicorn's types say."""
    return None if cycle is None or cycle.response_complete else cycle


def protocol(of: Connections) -> type[Connection]:
    """The protocol that uvicorn makes connections with, of one server."""

    class Bounded(Connection):
        room = of

    return Bounded
