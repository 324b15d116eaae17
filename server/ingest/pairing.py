"""New views → exchanges to be settled: a view with its other half, or alone once it has waited long enough.

Which views are held is known to the store, so that none is lost with the process. A view that was settled
alone is kept for its other half where that may still come: an agent watches the other end, the view itself
came late, or the server does not know its agents yet. An internal address may be that of a new pod, or of a
service, which no agent has reported so far: such views are kept as well, as long as there is room.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from agent.wire import Record
from server.analysis.ends import is_other_end_internal, other_ends, own_end
from server.analysis.witnesses import View, mark_of, view_of
from server.ingest.holding import KNOWN_S, Held, SettledBy, ViewHold
from server.store.draft import ExchangeDraft
from server.store.unit import Unit
from server.store.values import StoredView

FRESH_S = 600.0  # after the start every address counts as watched: agents are still to be heard of


@dataclass(slots=True)
class Arrival:
    """A new record, its number, and that of its exchange; `view` is None where it cannot be paired."""

    number: int
    record: Record
    raw: bytes
    view: View | None
    exchange: int


def arrived(number: int, record: Record, raw: bytes) -> Arrival:
    """A record of which nothing is known yet."""
    mark = mark_of(record)
    view = None if mark is None else view_of(record, number, mark)
    return Arrival(number, record, raw, view, number)


def newest(arrivals: Iterable[Arrival]) -> int:
    """The end (ns) of the call that ended last."""
    return max((one.record.time if one.view is None else one.view.end for one in arrivals), default=0)


@dataclass(frozen=True, slots=True)
class Settleable:
    """An exchange that waits no more; `late` is the other view of one that was counted without it."""

    exchange: ExchangeDraft
    why: SettledBy
    late: Arrival | None = None


class Pairing:
    """Writer's thread. Times are passed in: `now` is wall time in ns, `at` a monotonic one in s."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self.holding = ViewHold()
        self._released: list[int] = []  # that the store still says are held
        self._alone: list[tuple[int, int, int]] = []  # that the store does not say yet
        self._fresh_until: float | None = None
        self.forget()

    def begin(self, now: int, at: float) -> float:
        """Has agents waited for that delivered not long before the start, as if they had just now; until when
        (monotonic, s) others may still have to be heard of.
        """
        if self._fresh_until is None:
            self._fresh_until = at + FRESH_S
            for agent, epoch, time in self._unit.positions.delivered(now - int(KNOWN_S * 1e9)):
                self.holding.heard(agent, epoch, time, at)
        return self._fresh_until

    def forget(self) -> None:
        """After work was undone: held is what the store says."""
        self._released.clear()
        self._alone.clear()
        for number in self.holding.forget(self._unit.held.ids()):
            found = self._unit.held.record(number)
            mark = None if found is None else mark_of(found[0])
            if found is None or mark is None:  # damaged: it must hold up nothing
                self._released.append(number)
            else:
                record, size = found
                self.holding.hold(view_of(record, number, mark), record, size, stored=True)

    def take(self, arrivals: Sequence[Arrival], now: int) -> list[Settleable]:
        """Stores new views; the exchanges that are whole now, or never will be. The others are held."""
        late = self._unit.alone.marks([one.view.mark for one in arrivals if one.view is not None])
        watched, found = self._unit.watched, []
        for one in arrivals:
            if (end := own_end(one.record)) is not None:
                watched.see(end, now)
            if one.view is None:
                found.append(Settleable(ExchangeDraft(one.number, [one.record]), SettledBy.AT_ONCE))
            elif (whole := self._other_half(one, one.view, one.view.mark in late)) is not None:
                for end in chain(other_ends(one.record), other_ends(whole.exchange.records[0])):
                    watched.see(end, now)
                found.append(whole)
            else:
                self.holding.hold(one.view, one.record, len(one.raw))
        self._unit.samples.keep(
            [StoredView(one.number, one.record.id, one.exchange, one.raw) for one in arrivals]
        )
        return found

    def _other_half(self, one: Arrival, view: View, maybe_late: bool) -> Settleable | None:
        other = self.holding.match(view, self._lone(one.record.time, view.mark) if maybe_late else ())
        if other is None:
            return None
        held = self.holding.release(other.exchange)
        exchange = self._unit.samples.load(other.exchange) if held is None else self._draft(held)
        if held is None:
            self._unit.alone.remove(other.exchange)
        if exchange is None:
            return None
        one.exchange = exchange.number
        if held is None:
            return Settleable(exchange, SettledBy.LATE, one)
        exchange.records.append(one.record)
        exchange.second = one.number
        return Settleable(exchange, SettledBy.PAIRED)

    def _lone(self, time: int, mark: int) -> Iterator[View]:
        yield from self._unit.alone.near(time, mark)

    def _draft(self, held: Held) -> ExchangeDraft | None:
        """Of a view that is held no more; None where its record cannot be read any more."""
        if held.stored:
            self._released.append(held.number)
        record = held.record
        if record is None and (found := self._unit.held.record(held.number)) is not None:
            record, _ = found
        return None if record is None else ExchangeDraft(held.number, [record])

    def due(self, now: int, at: float, most: int) -> list[Settleable]:
        """The exchanges of up to so many views that wait no more."""
        fresh_until, found = self.begin(now, at), []
        for held, why in islice(self.holding.due(now, at), most):
            exchange = self._draft(held)
            if exchange is not None:
                found.append(Settleable(exchange, why))
                if not held.live or at < fresh_until or self._may_be_seen(exchange.records[0]):
                    self._alone.append((held.number, held.view.mark, exchange.records[0].time))
        return found

    def _may_be_seen(self, record: Record) -> bool:
        """Whether an agent may have seen the call from its other end."""
        if any(map(self._unit.watched.has, other_ends(record))):
            return True
        return is_other_end_internal(record) and self._unit.alone.has_room

    def write(self) -> None:
        """Tells the store which views are held now, and which were settled alone."""
        self._unit.held.remove(self._released)
        self._unit.held.add(self.holding.take_new())
        self._unit.alone.add(self._alone)
        self._released.clear()
        self._alone.clear()
