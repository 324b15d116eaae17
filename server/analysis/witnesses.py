"""Two views of one exchange: the client's and the server's, found to be the same call.

Views agree in the client's address, method, authority, path and query (their `mark`); the server's
address may differ (DNAT). Among those, time and order within the connection decide. Ordinals agree, or
differ by what one side joined late. Where one side has lost some since, they are out of step: HTTP/1
exchanges of one connection do not overlap, so that the intervals of a call's views must, once the clocks'
difference is known from calls that were in step, and answered. Rather two exchanges counted than two calls
merged.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from agent.wire import Record
from server.analysis.inventory import is_loopback

MAX_PEERS = 20_000  # connections whose other end is known
MAX_CLOCKS = 1000  # pairs of nodes whose clocks were compared
MAX_SCAN = 256  # views of one mark compared when the other end's connection is not known yet
SLACK_NS = 1_000_000  # reads and writes are timed at their return: neighbours may seem to overlap by this
SKEW_NS = 2_000_000_000  # clocks of two nodes differ by less
OTHER_SIDES = {"client": ("server", "unknown"), "server": ("client", "unknown")}
ANY_SIDE = ("client", "server", "unknown")
WHOLE = frozenset({"complete", "truncated"})

Connection = tuple[str, str]  # agent, and the agent's name of it


class View(NamedTuple):
    """What pairing needs of one record. `mark` is None where its ends are unknown (likeness.py); `clock` is
    equal where two times can be compared exactly; `in_turn` is true where the exchanges of a connection come
    one after the other (HTTP/1).
    """

    exchange: int
    mark: int | None
    side: str
    clock: str
    connection: Connection
    stream: int
    in_turn: bool
    start: int
    end: int
    server: tuple[str, int] | None
    status: int | None
    sizes: tuple[int | None, int | None] | None  # of both bodies, where all of the exchange was seen


def mark_of(record: Record) -> int | None:
    """A 63-bit digest of what both views of a call share; None where it cannot be paired."""
    client, request = record.via or record.client, record.request
    if client is None or request is None:
        return None
    place = ""
    if is_loopback(client.ip):
        netns = client.netns or (record.server.netns if record.server else None)
        place = f"{record.node} {netns}"
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"{record.cluster} {place} {client.ip} {client.port} {request.method} ".encode())
    digest.update(b"\0".join((request.authority or b"", request.path, request.query or b"")))
    return int.from_bytes(digest.digest(), "big") >> 1


def view_of(record: Record, exchange: int, mark: int | None) -> View:
    timing, response = record.timing, record.response
    start = timing.request_start if timing.request_start is not None else record.time
    sizes = None
    if record.completeness in WHOLE and record.request is not None and response is not None:
        sizes = (record.request.body.size, response.body.size)
    return View(
        exchange=exchange,
        mark=mark,
        side=record.side,
        clock=f"{record.cluster}/{record.node}",
        connection=(record.agent, record.connection),
        stream=record.stream,
        in_turn=record.protocol == "h1",
        start=start,
        end=max(start, timing.end or timing.first_byte or timing.request_end or start),
        server=(record.server.ip, record.server.port) if record.server else None,
        status=response.status if response else None,
        sizes=sizes,
    )


def _same_message(one: View, other: View) -> bool:
    if one.status is not None and other.status is not None and one.status != other.status:
        return False
    if one.sizes is None or other.sizes is None:
        return True
    return all(a is None or b is None or a == b for a, b in zip(one.sizes, other.sizes, strict=True))


def _overlap(one: View, other: View, slack: int, lag: int = 0) -> bool:
    """`lag` is what the other's clock shows more."""
    return one.start <= other.end - lag + slack and other.start - lag <= one.end + slack


@dataclass(frozen=True, slots=True)
class _Peer:
    """The other end's connection, and what to add to an ordinal here to get the one there."""

    connection: Connection
    offset: int


class Pending:
    """Views that wait for their other half; whoever adds them bounds how many."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int | None, str], dict[int, list[View]]] = {}
        self._peers: OrderedDict[Connection, _Peer] = OrderedDict()
        self._lags: OrderedDict[tuple[str, str], int] = OrderedDict()  # between two clocks

    def __len__(self) -> int:
        return sum(len(views) for streams in self._waiting.values() for views in streams.values())

    def add(self, view: View) -> None:
        self._waiting.setdefault((view.mark, view.side), {}).setdefault(view.stream, []).append(view)

    def take(self, view: View, others: Iterable[View] = ()) -> View | None:
        """The view that is the other half of this one, which then waits no more.

        `others` are candidates from elsewhere (the store, of views that wait no more).
        """
        waiting = [
            streams
            for side in OTHER_SIDES.get(view.side, ANY_SIDE)
            if (streams := self._waiting.get((view.mark, side)))
        ]
        peer = self._peers.get(view.connection)
        ordinal = view.stream + peer.offset if peer else view.stream
        expected = [other for streams in waiting for other in streams.get(ordinal, ())]
        best = self._nearest(view, expected[:MAX_SCAN], self._in_step) if expected else None
        if best is None and waiting and view.in_turn:
            every = chain.from_iterable(views for streams in waiting for views in streams.values())
            best = self._nearest(view, islice(every, MAX_SCAN), self._at_once)
        if best is None and (others := list(others)):
            best = self._nearest(view, others, self._in_step) or self._nearest(view, others, self._at_once)
        if best is not None:
            self._learn(view, best)
            self.remove(best)
        return best

    def _nearest(
        self, view: View, others: Iterable[View], plausible: Callable[[View, View], bool]
    ) -> View | None:
        found = [
            other
            for other in others
            if plausible(view, other) and view.connection != other.connection and _same_message(view, other)
        ]
        if len(found) < 2:
            return found[0] if found else None
        return min(found, key=lambda other: _distance(view, other, self._lag(view, other) or 0))

    def _in_step(self, view: View, other: View) -> bool:
        """Whether the ordinals agree, and the times as far as they can be compared."""
        peer = self._peers.get(view.connection)
        if peer is not None:
            agree = peer.connection == other.connection and view.stream + peer.offset == other.stream
        else:
            agree = other.connection not in self._peers and view.stream == other.stream
        if view.clock == other.clock:
            return agree and _overlap(view, other, SLACK_NS)
        return agree and abs(view.start - other.start) <= SKEW_NS

    def _at_once(self, view: View, other: View) -> bool:
        """Whether both saw a call of this client's address at the same time, and it can make only one."""
        if not (view.in_turn and other.in_turn):
            return False
        lag = self._lag(view, other)
        return lag is not None and _overlap(view, other, 0, lag)

    def _lag(self, view: View, other: View) -> int | None:
        """What the other's clock shows more; None where the two were never compared."""
        if view.clock == other.clock:
            return 0
        return self._lags.get((view.clock, other.clock))

    def _learn(self, view: View, other: View) -> None:
        offset, known = other.stream - view.stream, self._peers.get(view.connection)
        if known is None or known.offset != offset or known.connection != other.connection:
            self._peers[view.connection] = _Peer(other.connection, offset)
            self._peers[other.connection] = _Peer(view.connection, -offset)
            while len(self._peers) > MAX_PEERS:
                self._peers.popitem(last=False)
        if view.clock != other.clock and view.status is not None and other.status is not None:
            lag = (other.start + other.end - view.start - view.end) // 2
            self._lags[view.clock, other.clock], self._lags[other.clock, view.clock] = lag, -lag
            while len(self._lags) > 2 * MAX_CLOCKS:
                self._lags.popitem(last=False)

    def remove(self, view: View) -> None:
        """It waits no more, if it did."""
        streams = self._waiting.get((view.mark, view.side), {})
        views = streams.get(view.stream, [])
        if view in views:
            views.remove(view)
            if not views:
                del streams[view.stream]
            if not streams:
                del self._waiting[(view.mark, view.side)]


def _distance(view: View, other: View, lag: int) -> tuple[bool, bool, bool, int]:
    return (
        not _overlap(view, other, 0, lag),
        view.stream != other.stream,
        view.server != other.server,
        abs(view.start - other.start + lag),
    )
