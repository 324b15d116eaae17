"""Bounds the clients' connections in number and time, so that slow ones cannot exclude others.

| state | what happens | next |
|---|---|---|
| HEAD, the client is to send a request's head | the head is complete | BODY, or ANSWER if it is all |
| | HEAD_S passed since the connection, or the head's first byte | closed: `slow_head` |
| | one more client connects than may, and none has waited here for longer | closed: `displaced` |
| BODY, it sends the body | the body is complete | ANSWER |
| | BODY_S, and 1 s for each BYTES_PER_S of it, passed while it was read from | closed: `slow_body` |
| | STOPPING_BODY_S passed since the server was asked to stop | closed: `slow_body` |
| ANSWER, the server works and writes | the answer is complete | IDLE |
| | the client has taken nothing for UNREAD_S of what waits for it | closed: `unread` |
| IDLE, what was written may still wait for the client | a byte of the next request | HEAD |
| | uvicorn's keep-alive time passed; as in ANSWER; as in HEAD where one more connects | closed |

If none can be displaced, because all are in BODY or ANSWER, the new connection is closed: `turned_away`.

Over TLS a connection has a state once its handshake is complete; until then it only counts as open. One
handshake more than may be under way displaces the oldest, and so does one more client if none in HEAD or
IDLE is left.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from server.peers import LocalCaller

CALLER = "caller"
"""The name under which a request's `state` has the `LocalCaller` of its connection."""
CERTIFIED = "certified"
"""The name under which it has whether the client has shown a certificate, which TLS has verified."""
HEAD_S = 15.0
BODY_S = 20.0
BYTES_PER_S = 1024
UNREAD_S = 60.0
STOPPING_BODY_S = 8.0
SWEEP_S = 1.0  # between checks for late connections
MOST = 2048  # connections, at most, whatever the limit of open files
MOST_HANDSHAKES = 128  # under way
MOST_AT_ONCE = 64  # accepted before the first of them is served
RESERVED = 128  # descriptors for the database's readers, logs and outgoing connections


class Phase(Enum):
    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    IDLE = auto()


class CloseReason(StrEnum):
    """Why the server closed a connection."""

    SLOW_HEAD = "slow_head"
    SLOW_BODY = "slow_body"
    UNREAD = "unread"
    DISPLACED = "displaced"
    TURNED_AWAY = "turned_away"


WAITING = frozenset({Phase.HEAD, Phase.IDLE})


@dataclass(frozen=True, slots=True)
class ConnectionBounds:
    """`at_once` are accepted before the first of them is served; `connections` may be open in total, of which
    `handshakes` are in their TLS handshake.
    """

    connections: int = MOST
    at_once: int = MOST_AT_ONCE
    handshakes: int = MOST_HANDSHAKES

    @classmethod
    def of(cls, descriptors: int) -> ConnectionBounds:
        """The bounds for this number of descriptors."""
        room = max(descriptors - RESERVED, descriptors // 2, 8)
        at_once = min(MOST_AT_ONCE, max(1, room // 8))
        connections = min(MOST, room - 2 * at_once)
        return cls(connections, at_once, min(MOST_HANDSHAKES, max(1, connections // 2)))


class Connections:
    """All connections of a server. Used on the event loop's thread, except `open` and `closed`."""

    def __init__(self, bounds: ConnectionBounds | None = None) -> None:
        self.bounds = bounds or ConnectionBounds()
        self._all: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}  # the longest waiting one first
        self._handshakes: dict[int, socket.socket] = {}  # by descriptor, the oldest first
        self._sweeping = False
        self.sweeps = 0
        self.closed: Counter[CloseReason] = Counter()

    @property
    def open(self) -> int:
        return len(self._all) + len(self._handshakes)

    def handshake_begun(self, one: socket.socket) -> bool:
        """Counts an accepted connection until `handshake_over`. False if the caller must close it."""
        if len(self._handshakes) >= self.bounds.handshakes:
            self._displace_handshake()
        elif self.open >= self.bounds.connections and not self._displace():
            self.closed[CloseReason.TURNED_AWAY] += 1
            return False
        self._handshakes[one.fileno()] = one
        return True

    def handshake_over(self, descriptor: int) -> None:
        """Records that a handshake is complete, or its connection closed."""
        self._handshakes.pop(descriptor, None)

    def made(self, one: Connection) -> None:
        if self.open >= self.bounds.connections and not self._displace():
            self.close(one, CloseReason.TURNED_AWAY)
            return
        self._all.add(one)
        self.moved(one)
        if not self._sweeping:
            self._sweeping = True
            one.loop.call_later(SWEEP_S, self._sweep, one.loop)

    def _displace(self) -> bool:
        """Whether there was one to displace."""
        longest = next(iter(self._waiting), None)
        if longest is None:
            return self._displace_handshake()
        self.close(longest, CloseReason.DISPLACED)
        self.lost(longest)
        return True

    def _displace_handshake(self) -> bool:
        oldest = next(iter(self._handshakes), None)
        if oldest is None:
            return False
        self.closed[CloseReason.DISPLACED] += 1
        with suppress(OSError):  # the client may be gone
            self._handshakes.pop(oldest).shutdown(socket.SHUT_RDWR)  # asyncio reads the end, and closes it
        return True

    def moved(self, one: Connection) -> None:
        """Records that a connection has changed its state."""
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
        self.app_state = {
            **self.app_state,
            CALLER: LocalCaller(self.client, self.server),
            CERTIFIED: bool(transport.get_extra_info("peercert")),
        }
        self.state = Phase.HEAD
        self._due = self.loop.time() + HEAD_S
        self._unread = 0  # bytes at the last check
        self.room.handshake_over(transport.get_extra_info("socket").fileno())
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

    def shutdown(self) -> None:
        """Ends the connection when the server stops; a body that is not complete soon is given up before
        uvicorn cancels its request, which would log a traceback.
        """
        super().shutdown()
        if self.state is Phase.BODY:
            self.loop.call_later(STOPPING_BODY_S, self._give_up_body)

    def _give_up_body(self) -> None:
        if self.state is Phase.BODY and not self.transport.is_closing():
            self.room.close(self, CloseReason.SLOW_BODY)

    def on_response_complete(self) -> None:
        self._enter(Phase.IDLE, UNREAD_S)
        super().on_response_complete()

    def late(self, now: float) -> CloseReason | None:
        """Why the connection must be closed: the client exceeds its state's time. None if it does not."""
        if self._waits_for_us():
            self._due = now + UNREAD_S
        if now <= self._due:
            return None
        return {
            Phase.HEAD: CloseReason.SLOW_HEAD,
            Phase.BODY: CloseReason.SLOW_BODY,
        }.get(self.state, CloseReason.UNREAD)

    def _waits_for_us(self) -> bool:
        """Whether the server is working, or the client has read some of the waiting bytes."""
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
    """The request that is not answered yet; None before the first, although uvicorn's types exclude that."""
    return None if cycle is None or cycle.response_complete else cycle


def protocol(of: Connections) -> type[Connection]:
    """The protocol class with which uvicorn creates a server's connections."""

    class Bounded(Connection):
        room = of

    return Bounded
