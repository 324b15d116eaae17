"""Translates raw kernel events into the facts of agent/events.py. Pure."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address
from socket import AF_INET, AF_INET6, inet_ntop

from agent.events import Address, Chunk, Closed, ConnectionKey, Direction, Hello, Opened, Role
from agent.probes.abi import EventDirection, EventKind, EventRole, EventSource, RawEvent
from agent.probes.tls import LIBRARIES

SOCKET = "socket"
SOURCES = {int(EventSource.SOCKET): SOCKET, **{library.source: library.name for library in LIBRARIES}}
DIRECTIONS: dict[int, Direction] = {
    EventDirection.SENT: Direction.SENT,
    EventDirection.RECEIVED: Direction.RECEIVED,
}
ROLES: dict[int, Role | None] = {
    EventRole.UNKNOWN: None,
    EventRole.CLIENT: Role.CLIENT,
    EventRole.SERVER: Role.SERVER,
}
OPENED, CLOSED, HELLO = EventKind.OPENED.value, EventKind.CLOSED.value, EventKind.HELLO.value
OF_CONNECTIONS = frozenset({OPENED, CLOSED, HELLO, EventKind.CHUNK.value})


@lru_cache(maxsize=4096)
def address(family: int, raw: bytes, port: int, netns: int) -> Address | None:
    """One end; an IPv4-mapped IPv6 address becomes IPv4. None if the kernel programs did not know it."""
    if family == AF_INET:
        return Address(inet_ntop(AF_INET, raw[:4]), port, netns)
    if family == AF_INET6:
        mapped = IPv6Address(raw).ipv4_mapped
        return Address(str(mapped) if mapped else inet_ntop(AF_INET6, raw), port, netns)
    return None


@lru_cache(maxsize=4096)
def key(source: int, address: int, generation: int, tgid: int) -> ConnectionKey:
    """The key of a connection: processes can share sockets, but not TLS connections.

    Raises ValueError for an unknown source.
    """
    if source not in SOURCES:
        raise ValueError(f"no source has the number {source}")
    return ConnectionKey(SOURCES[source], address, generation, None if source == EventSource.SOCKET else tgid)


def fact(raw: RawEvent, data: bytes) -> Opened | Chunk | Closed | Hello | None:
    """The fact in a connection's event; None for events of processes. Raises ValueError for an unknown kind,
    KeyError for an unknown role or direction. Compares plain numbers, since this is a hot path.
    """
    kind = raw.kind
    if kind not in OF_CONNECTIONS:
        EventKind(kind)  # raises for an unknown number
        return None
    connection = key(raw.source, raw.address, raw.generation, raw.tgid)
    if kind == CLOSED:
        return Closed(raw.time_ns, connection)
    local = address(raw.family, raw.local, raw.local_port, raw.netns)
    peer = address(raw.family, raw.peer, raw.peer_port, raw.netns)
    role = ROLES[raw.role]
    if kind == OPENED:
        return Opened(raw.time_ns, connection, local, peer, role)
    if kind == HELLO:
        return None if local is None or peer is None else Hello(raw.time_ns, local, peer, data)
    direction = DIRECTIONS[raw.direction]
    return Chunk(
        time_ns=raw.time_ns,
        connection=connection,
        direction=direction,
        position=raw.position,
        length=raw.length,
        data=data,
        pid=raw.tgid,
        local=local,
        peer=peer,
        role=role,
        from_start=bool(raw.from_start),
        capped=bool(raw.capped),
    )
