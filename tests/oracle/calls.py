"""Calls as they were really made, and what agents saw of each: the truth that the server must find.

Cases that the views alone cannot decide are left out:

- a call through an address of several servers that only its client saw;
- of both views of a call, more than one incomplete view;
- a connection that one end's agent joined late, unless both ends are on one node and all its calls have a
  response, or all its calls differ: otherwise nothing shows which calls its views belong to;
- clocks that are set: what was learned of them misleads for some calls;
- of a polled connection, views lost before its order showed in others;
- unless `in_order`, polled connections: an agent's batches would come in any order;
- a call whose client gave up before its server read it;
- a port that the same client uses again within a minute;
- of calls with an unplaced view, those that leave their node or were not captured wholly;
- unless `near_hours`, calls within seconds of a full hour (the clocks of two nodes may disagree on the hour).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.oracle.kinds import KINDS
from tests.oracle.world import ADDRESSES, CALLERS, SERVERS, Address, Caller, Place
from tests.server.records import MS, NOON

SECOND = 1000 * MS
HOUR = 3600 * SECOND
START = NOON + 11 * HOUR - HOUR // 2  # so that midnight is included
SPAN = 3 * HOUR
CLEAR = 10 * SECOND  # from a full hour
THINKS = 5 * MS  # minimum time before the next call of an HTTP/1 connection
ON_THE_WAY = 2 * MS  # maximum
REUSE = 60 * SECOND  # minimum time before a port is used again
PORTS = 40_000
UNPLACED = ("client", "server", "client server")
SLOW = ((0, 2300 * MS), (2100 * MS, 0), (8000 * MS, 0))  # a slow client; a server that reads late
POLLS, SHOWN = 12, 4  # calls of a polled connection, and those of them that show its order
NUMBERED = [name for name, kind in KINDS.items() if kind.status is not None and "{}" in kind.path]
ANSWERED = [name for name, kind in KINDS.items() if kind.status is not None]


class Saw(StrEnum):
    """How much of a call one end's agent reported, unless its view was lost."""

    WHOLE = "whole"
    BODY_UNSEEN = "body unseen"  # the response's body was not kept
    UNANSWERED = "unanswered"  # the client closed before the response arrived


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `place` is the copy of the server that answered, `stream` the ordinal in the connection or
    the HTTP/2 stream. It took `took` ns from `start` (ns UTC) at the client, including `there` and `back` on
    the network. What an end saw is None if it has no agent or its view was lost. The server's agent counts
    from the call `joined`. The views in `unplaced` (of a call over TLS) have no ends.
    """

    caller: str
    address: str
    server: str
    place: int
    connection: int
    port: int
    protocol: str
    stream: int
    kind: str
    number: int
    start: int
    took: int
    there: int
    back: int
    client_saw: str | None
    server_saw: str | None
    joined: int = 0
    unplaced: str = ""


def traffic(
    chance: random.Random, count: int, near_hours: bool = False, start: int = START, in_order: bool = False
) -> list[Call]:
    """A number of calls within SPAN ns of a start, connection by connection."""
    found: list[Call] = []
    ports: dict[tuple[str, int], int] = {}
    starts = sorted(start + chance.randrange(SPAN) for _ in range(count))
    for number, time in enumerate(starts):
        if len(found) >= count:
            break
        found += _connection(chance, number, time, ports, near_hours, in_order)
    return found[:count]


def _connection(
    chance: random.Random,
    number: int,
    start: int,
    ports: dict[tuple[str, int], int],
    near_hours: bool,
    in_order: bool,
) -> Iterator[Call]:
    address = chance.choice([*ADDRESSES.values()])
    reaching = [one for one in CALLERS.values() if _reaches(one, address)]
    caller = chance.choice(reaching if chance.random() < 0.3 else [one for one in reaching if one.node])
    server = SERVERS[chance.choice(address.servers)]
    place = chance.choice([number for number, one in enumerate(server.places) if _is_at(one, address)] or [0])
    protocol = chance.choice(("h1", "h1", "h2"))
    client = ip_of(caller, address)
    port = next(one for one in range(PORTS, 65_536) if ports.get((client, one), 0) + REUSE < start)
    now, kind, id = start, "get", 7
    is_watched = bool(server.places) and caller.node is not None
    is_near = is_watched and protocol == "h1" and caller.node == server.places[place].node
    is_far = is_watched and protocol == "h1" and caller.node != server.places[place].node
    joined = chance.choice((0, 0, 1, 2)) if is_near or is_far else 0
    older = chance.choice((0, 7)) if joined else 0  # calls that neither agent, or only the client's, saw
    is_polled = in_order and is_far and not joined and chance.random() < 0.2
    is_local = address.local_to is not None or (is_near and client == server.places[place].ip)
    for ordinal in range(POLLS if is_polled else chance.choice((1, 1, 2, 3, 5, 8))):
        if joined and is_far:
            kind, id = chance.choice(NUMBERED), 1 + ordinal
        elif ordinal == 0 or (not is_polled and chance.random() < 0.8):  # otherwise the client retries
            kind, id = chance.choice(ANSWERED if joined or is_polled else [*KINDS]), chance.randrange(1, 4)
        if not near_hours:
            now = _clear(now)
        took = chance.choice((MS, 4 * MS, 30 * MS, 250 * MS)) + chance.randrange(MS)
        there, back = (chance.randrange(1, min(ON_THE_WAY, took // 4)) for _ in range(2))
        client_saw, server_saw = _seen(chance, caller, address, bool(server.places), kind)
        slow = chance.choice(SLOW) if kind in ANSWERED and chance.random() < 0.1 else (0, 0)
        there, back, took = there + slow[0], back + slow[1], took + sum(slow)
        if (joined or is_polled or slow[0]) and client_saw == Saw.UNANSWERED:
            client_saw = Saw.WHOLE
        if is_polled and ordinal < SHOWN:
            client_saw = server_saw = Saw.WHOLE
        if ordinal < joined:
            server_saw = None
            client_saw = None if len(address.servers) > 1 else client_saw
        stream = 2 * ordinal + 1 if protocol == "h2" else ordinal + older
        yield Call(
            caller.name, address.name, server.name, place, number, port, protocol, stream, kind, id,
            now, took, there, back, client_saw, server_saw, joined + older,
            _unplaced(chance, is_local and not joined and kind in ANSWERED, client_saw, server_saw),
        )  # fmt: skip
        pause = THINKS + chance.choice((0, 3 * MS, 900 * MS, 20 * SECOND)) + chance.randrange(MS)
        if is_polled:
            pause = 985 * MS
        now += chance.randrange(20 * MS) if protocol == "h2" else took + pause
        ports[client, port] = now + took


def _unplaced(chance: random.Random, is_local: bool, client_saw: str | None, server_saw: str | None) -> str:
    """Which views of a call that does not leave its node are unplaced."""
    if not is_local or client_saw != Saw.WHOLE or server_saw not in (Saw.WHOLE, None):
        return ""
    return chance.choice(("", *UNPLACED)) if server_saw else chance.choice(("", "client"))


def ip_of(caller: Caller, address: Address) -> str:
    """The address that a consumer's connection comes from."""
    return address.ip if address.local_to else caller.ip


def _reaches(caller: Caller, address: Address) -> bool:
    return address.local_to is None or (caller.node == address.local_to and caller.pod is None)


def _is_at(place: Place, address: Address) -> bool:
    return address.is_virtual or address.local_to is not None or place.ip == address.ip


def _clear(time: int) -> int:
    """The same time, or the next one that is far enough from a full hour."""
    past = (time + CLEAR) % HOUR
    return time if past > 2 * CLEAR else time + 2 * CLEAR - past


def _seen(
    chance: random.Random, caller: Caller, address: Address, is_inside: bool, kind: str
) -> tuple[str | None, str | None]:
    """The reports of the agents at both ends."""
    parts: Sequence[str] = [Saw.WHOLE]
    if KINDS[kind].body_unseen is not None:
        parts = [Saw.WHOLE, Saw.WHOLE, Saw.BODY_UNSEEN]
    client = None if caller.node is None else chance.choice(parts)
    if client and KINDS[kind].status is not None and chance.random() < 0.1:
        client = Saw.UNANSWERED
    server = chance.choice(parts) if is_inside else None
    lost = chance.choice((*["none"] * 9, "client", "server", "both"))
    if lost in ("client", "both"):
        client = None
    if lost in ("server", "both"):
        server = None
    if client and server and client != Saw.WHOLE:
        server = Saw.WHOLE
    if client and server is None and len(address.servers) > 1:
        client = None
    return client, server
