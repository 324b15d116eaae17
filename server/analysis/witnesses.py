"""Two views of one exchange: the client's and the server's, found to be the same call.

Views agree in the client's address, method, authority, path and query (their `mark`), and in status and
sizes; the server's address may differ (DNAT). Among those, order within the connection and time decide:

1. The ordinals agree, or differ as they did before (one end was joined late), and no time contradicts.
2. HTTP/1 exchanges of one connection do not overlap, so that times alone tell them apart, by one clock or
   where the clocks' difference is known well (clocks.py) and the view is due. So one side may lose some.
3. The ordinals agree, and the times contradict: they may be noise, or a clock was set.
4. Nothing is known yet of clocks and ordinals, or not enough. Then the view waits, and once it is due, it is
   paired if only one other view is possible, and is the only one possible for that.

Ordinals that count from the start of the connection at both ends must agree: only connections that are older
than an agent, or where one has missed something, are paired out of step.

Rather two exchanges counted than two calls merged.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from agent.wire import Record
from server.analysis.clocks import ANY, NOISE_NS, SKEW_NS, SLACK_NS, Clocks, Range
from server.analysis.inventory import is_loopback

MAX_PEERS = 20_000  # connections whose other end is known
MAX_SCAN = 256  # views of one mark compared when the other end's connection is not known yet
OTHER_SIDES = {"client": ("server", "unknown"), "server": ("client", "unknown")}
ANY_SIDE = ("client", "server", "unknown")
WHOLE = frozenset({"complete", "truncated"})

Connection = tuple[str | None, str, str]  # cluster, agent, and the agent's name of it


class View(NamedTuple):
    """What pairing needs of one record. `mark` is None where its ends are unknown (likeness.py); `clock` is
    equal where two times can be compared exactly; `in_turn` is true where the exchanges of a connection come
    one after the other (HTTP/1); `timed` where `start` and `end` are those of the whole call; `absolute` is
    the record's.
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
    timed: bool
    server: tuple[str, int] | None
    status: int | None
    sizes: tuple[int | None, int | None] | None  # of both bodies, where all of the exchange was seen
    absolute: bool


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
        # HTTP/2: an answer may be complete before its request, which then counts only what had been sent.
        asked = record.request.body.size if timing.request_end is not None else None
        sizes = (asked, response.body.size)
    return View(
        exchange=exchange,
        mark=mark,
        side=record.side,
        clock=f"{record.cluster}/{record.node}",
        connection=(record.cluster, record.agent, record.connection),
        stream=record.stream,
        in_turn=record.protocol == "h1",
        start=start,
        end=max(start, timing.end or timing.first_byte or timing.request_end or start),
        timed=response is not None and timing.request_start is not None and timing.end is not None,
        server=(record.server.ip, record.server.port) if record.server else None,
        status=response.status if response else None,
        sizes=sizes,
        absolute=record.absolute,
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


@dataclass(slots=True)
class _Peer:
    """The other end's connection, and what to add to an ordinal here to get the one there.

    `mark` is that of the first call that agreed; its views were `guessed` to be one if no other was possible.
    Once a call with another mark agrees, the offset is `proven`. `other` is another offset that a call
    suggested, and its mark.
    """

    connection: Connection
    offset: int
    mark: int | None
    guessed: bool
    proven: bool = False
    other: tuple[int, int | None] | None = None


class Guess(NamedTuple):
    """The other half of a view that is due; `doubt` is true if it may be among others, unknown which."""

    found: View | None
    doubt: bool


NONE = Guess(None, False)


Streams = Sequence[Mapping[int, Sequence[View]]]
"""Views by ordinal, of one side each."""


class Pending:
    """Views that wait for their other half; whoever adds them bounds how many."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int | None, str], dict[int, list[View]]] = {}
        self._peers: OrderedDict[Connection, _Peer] = OrderedDict()  # the least recently used first
        self._clocks = Clocks()

    def __len__(self) -> int:
        return sum(len(views) for streams in self._waiting.values() for views in streams.values())

    def add(self, view: View) -> None:
        self._waiting.setdefault((view.mark, view.side), {}).setdefault(view.stream, []).append(view)

    def has_opposite(self, view: View) -> bool:
        """Whether a view of the same mark from another side waits."""
        return any((view.mark, side) in self._waiting for side in OTHER_SIDES.get(view.side, ANY_SIDE))

    def take(self, view: View, others: Iterable[View] = (), last: bool = False) -> View | None:
        """The view that is the other half of this one, which then waits no more.

        `others` are candidates from elsewhere (the store, of views that wait no more). With `last`, none
        whose ordinal agrees comes any more.
        """
        waiting = self._opposite(view)
        best = None
        if waiting:
            peer = self._peers.get(view.connection)
            ordinal = view.stream + peer.offset if peer else view.stream
            expected = [other for streams in waiting for other in streams.get(ordinal, ())]
            best = self._best(view, expected[:MAX_SCAN], waiting, last)
        if best is None:
            others = [one for one in others if one.side in OTHER_SIDES.get(view.side, ANY_SIDE)]
            best = self._best(view, others, [{0: others}], last) if others else None
        if best is not None:
            self._learn(view, best)
            self.remove(best)
        return best

    def take_last(self, view: View, others: Iterable[View] = ()) -> Guess:
        """The other half of a view that will wait no more: with what was learned since it came, or because no
        other is possible. `others` are views of its mark that wait no more.
        """
        others = [*others]
        best = self.take(view, others, last=True)
        if best is not None:
            return Guess(best, False)
        sides = OTHER_SIDES.get(view.side, ANY_SIDE)
        opposite = chain(_all(self._opposite(view)), (one for one in others if one.side in sides))
        possible = [other for other in opposite if self._is_possible(view, other)]
        if not possible:
            return NONE
        own = self._waiting.get((view.mark, view.side), {})
        same = chain(_all([own]), (one for one in others if one.side == view.side))
        other = possible[0]
        if len(possible) > 1 or any(self._is_possible(one, other) for one in same if one != view):
            return Guess(None, True)
        if not self._agree(view, other) and not self._is_repeated(view, other):
            return Guess(None, True)
        self._learn(view, other, guessed=not self._agree(view, other))
        self.remove(other)
        return Guess(other, False)

    def _opposite(self, view: View) -> Streams:
        """The waiting views of its mark from other sides, by ordinal."""
        return [
            streams
            for side in OTHER_SIDES.get(view.side, ANY_SIDE)
            if (streams := self._waiting.get((view.mark, side)))
        ]

    def _best(self, view: View, expected: Sequence[View], every: Streams, last: bool) -> View | None:
        """By order, if times allow that; else by time; else by order: times may be noise, or a clock set."""
        best = self._nearest(view, expected, self._in_step) if expected else None
        if best is None and view.in_turn:
            best = self._nearest(view, _all(every), self._at_once if last else self._at_once_by_one_clock)
        if best is None and expected:
            best = self._nearest(view, expected, self._in_step_by_noise)
        if best is None and expected:
            best = self._nearest(view, expected, self._in_step_by_skew)
            if best is not None and not self._learn_clocks(view, best):
                return None
        return best

    def _nearest(
        self, view: View, others: Iterable[View], plausible: Callable[[View, View], bool]
    ) -> View | None:
        found = [other for other in others if plausible(view, other) and _may_be_one(view, other)]
        if len(found) < 2:
            return found[0] if found else None
        return min(found, key=lambda other: _distance(view, other, self._lag(view, other)))

    def _agree(self, view: View, other: View) -> bool:
        """Whether the ordinals do."""
        peer = self._peers.get(view.connection)
        if peer is not None:
            return peer.connection == other.connection and view.stream + peer.offset == other.stream
        return other.connection not in self._peers and view.stream == other.stream

    def _in_step(self, view: View, other: View) -> bool:
        """Whether the ordinals agree, and the times as far as they can be compared: even one clock may be set
        between a call's two views, so that ordinals which tell calls apart count for more.
        """
        if not self._agree(view, other):
            return False
        apart = _apart(view, other)
        if view.clock == other.clock:
            return _overlap(view, other, SLACK_NS) or (_is_exact(view, other) and apart.meets(ANY))
        if not apart.meets(ANY):
            return False
        known = self._known(view, other)
        return known is None or apart.meets(known) or self._is_proven(view, other)

    def _in_step_by_noise(self, view: View, other: View) -> bool:
        return self._in_step_within(view, other, NOISE_NS)

    def _in_step_by_skew(self, view: View, other: View) -> bool:
        return self._in_step_within(view, other, 2 * SKEW_NS)

    def _in_step_within(self, view: View, other: View, tolerance: int) -> bool:
        if view.clock == other.clock or not self._agree(view, other):
            return False
        known, apart = self._known(view, other), _apart(view, other)
        return known is not None and apart.meets(ANY) and apart.meets(known.widened(tolerance))

    def _is_proven(self, view: View, other: View) -> bool:
        """Whether an ordinal tells calls apart: in itself, or it must have agreed before."""
        peer = self._peers.get(view.connection)
        return _is_exact(view, other) or (peer is not None and peer.proven)

    def _at_once_by_one_clock(self, view: View, other: View) -> bool:
        """Whether both saw a call of this client's address at the same time, and it can make only one."""
        return view.clock == other.clock and other.in_turn and _overlap(view, other, 0)

    def _at_once(self, view: View, other: View) -> bool:
        """The same for two clocks as well. Their difference is never known exactly."""
        if view.clock == other.clock or not other.in_turn:
            return self._at_once_by_one_clock(view, other)
        if not _are_times_sound(view, other):
            return False
        known = self._known(view, other)
        return known is not None and known.is_tight and _apart(view, other).meets(known.middle)

    def _is_possible(self, view: View, other: View) -> bool:
        """Whether two views on two nodes may be of one call, as far as order and time say."""
        if view.clock == other.clock or not _may_be_one(view, other):
            return False
        known, apart = self._known(view, other), _apart(view, other)
        if not apart.meets(ANY):
            return False
        if self._agree(view, other):
            return True
        is_open = known is None or apart.meets(known)
        is_sound = _are_times_sound(view, other) or not (view.timed and other.timed)
        return view.in_turn and other.in_turn and is_open and is_sound

    def _is_repeated(self, view: View, other: View) -> bool:
        """Whether calls out of step may be paired: their connections are new, or another call was out of step
        as much.
        """
        peer = self._peers.get(view.connection)
        if peer is None:
            return other.connection not in self._peers
        offset = other.stream - view.stream
        if peer.other is not None and peer.other[0] == offset and peer.other[1] != view.mark:
            return peer.connection == other.connection
        peer.other = offset, view.mark
        return False

    def _known(self, view: View, other: View) -> Range | None:
        """What is known of the clocks' difference, the server's less the client's."""
        client, server = _ends(view, other)
        return self._clocks.known(client.clock, server.clock, client.start)

    def _lag(self, view: View, other: View) -> int:
        """About what the other's clock shows more."""
        if view.clock == other.clock or (known := self._known(view, other)) is None:
            return 0
        middle = known.middle.least
        return middle if other.side == "server" else -middle

    def _learn(self, view: View, other: View, guessed: bool = False) -> None:
        self._learn_peer(view, other, guessed)
        self._learn_peer(other, view, guessed)
        while len(self._peers) > MAX_PEERS:
            self._peers.popitem(last=False)
        if view.clock != other.clock:
            self._learn_clocks(view, other)

    def _learn_peer(self, view: View, other: View, guessed: bool) -> None:
        offset, known = other.stream - view.stream, self._peers.get(view.connection)
        if known is None or known.offset != offset or known.connection != other.connection:
            self._peers[view.connection] = _Peer(other.connection, offset, view.mark, guessed)
        else:
            known.proven = known.proven or view.mark != known.mark
            known.guessed = known.guessed and not known.proven
            known.other = None
        self._peers.move_to_end(view.connection)

    def _learn_clocks(self, view: View, other: View) -> bool:
        """Returns whether the two views agree with what is known."""
        peer = self._peers.get(view.connection)
        if (peer is not None and peer.guessed) or not _are_times_sound(view, other):
            return False
        client, server = _ends(view, other)
        return self._clocks.learn(client.clock, server.clock, _apart(view, other), client.start)

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


def _all(waiting: Streams) -> Iterable[View]:
    return islice(chain.from_iterable(views for streams in waiting for views in streams.values()), MAX_SCAN)


def _ends(view: View, other: View) -> tuple[View, View]:
    """The client's and the server's; of views of unknown side, in any order."""
    is_client = view.side == "client" or other.side == "server"
    return (view, other) if is_client else (other, view)


def _apart(view: View, other: View) -> Range:
    """The range of what the server's clock may show more, if the two are of one call. Where the client did
    not see its end, the server may have read it up to SKEW_NS after the client was gone.
    """
    client, server = _ends(view, other)
    most = server.start - client.start + SLACK_NS
    least = server.end - client.end - SLACK_NS if client.timed else server.start - client.end - SKEW_NS
    return Range(least, most) if least <= most else Range(most, least)


def _are_times_sound(view: View, other: View) -> bool:
    """Whether the times are those of a client and a server, which cannot have taken longer."""
    if not (view.timed and other.timed) or "unknown" in (view.side, other.side):
        return False
    client, server = _ends(view, other)
    return server.end - server.start <= client.end - client.start + 2 * SLACK_NS


def _may_be_one(view: View, other: View) -> bool:
    if view.absolute and other.absolute and view.stream != other.stream:
        return False
    return view.connection != other.connection and _same_message(view, other)


def _is_exact(view: View, other: View) -> bool:
    """Whether ordinals tell calls of a connection apart: HTTP/2 states them, HTTP/1's are absolute."""
    return not (view.in_turn and other.in_turn) or (view.absolute and other.absolute)


def _distance(view: View, other: View, lag: int) -> tuple[bool, bool, bool, int]:
    return (
        not _overlap(view, other, 0, lag),
        view.stream != other.stream,
        view.server != other.server,
        abs(view.start - other.start + lag),
    )
