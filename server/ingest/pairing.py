"""Pairs new views into exchanges: a view is settled with its other half, or alone after waiting long enough.
An unplaced view is paired only after that, by likeness (alike.py).

The store records which views are held, so that none is lost when the process ends. A view that was settled
alone is kept as a lone view if its other half may still arrive: if an agent watches the other end, if the
view itself arrived late, or if the server may not know all agents yet. While there is room, others are kept
too: an internal address may belong to a new pod or a service that no agent has reported yet, a public one to
a new node, and a view that was settled to free memory did not wait for its other half.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

from agent.wire import Record
from server.analysis.ends import is_other_end_internal, other_ends, own_end
from server.analysis.likeness import is_unplaced, likeness_of
from server.analysis.witnesses import NONE, Guess, View, mark_of, view_of
from server.ingest.alike import Alike
from server.ingest.holding import KNOWN_S, Held, SettledBy, ViewHold
from server.store.draft import ExchangeDraft
from server.store.unit import Unit
from server.store.values import LoneView, StoredView

FRESH_S = 600.0  # after the start every address counts as watched, since not all agents have delivered yet


@dataclass(slots=True)
class Arrival:
    """A new record, its number, and the number of its exchange; `view` is None if it cannot be paired."""

    number: int
    record: Record
    raw: bytes
    view: View | None
    exchange: int


def arrived(number: int, record: Record, raw: bytes) -> Arrival:
    """An arrival whose exchange is not known yet."""
    return Arrival(number, record, raw, _paired_view(record, number), number)


def _paired_view(record: Record, number: int) -> View | None:
    """None if it cannot be paired."""
    mark = mark_of(record)
    if mark is None and (not is_unplaced(record) or likeness_of(record) is None):
        return None
    return view_of(record, number, mark)


def newest(arrivals: Iterable[Arrival]) -> int:
    """The latest end of a call (ns); 0 if there are none."""
    return max((one.record.time if one.view is None else one.view.end for one in arrivals), default=0)


class LateView(NamedTuple):
    """The other view of an exchange that was counted without it."""

    number: int
    record: Record


@dataclass(frozen=True, slots=True)
class Settleable:
    """An exchange whose wait is over. If it was already counted without its other view, that is `late`.
    `in_doubt` is true if its other view may be among others, unknown which. `gone`: it was counted or left
    out before, and is not stored.
    """

    exchange: ExchangeDraft
    why: SettledBy
    late: LateView | None = None
    in_doubt: bool = False
    gone: bool = False


class Pairing:
    """Runs on the writer's thread. Callers pass the time: `now` is wall time in ns, `at` monotonic time in
    s.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self.holding = ViewHold()
        self._alike = Alike(unit, self.holding)
        self._released: list[int] = []  # still held by the store
        self._settled_alone: list[LoneView] = []  # not yet known to the store
        self._fresh_until: float | None = None
        self.forget()

    def begin(self, now: int, at: float) -> float:
        """Counts agents that delivered shortly before the start as active from the first call on. Returns
        until when (monotonic, s) further agents may be unknown.
        """
        if self._fresh_until is None:
            self._fresh_until = at + FRESH_S
            for one in self._unit.positions.delivered(now - int(KNOWN_S * 1e9)):
                self.holding.record_delivery(one.agent, one.epoch, one.time, at, one.cluster)
        return self._fresh_until

    def forget(self) -> None:
        """Restores the state of the store. Call it after work was undone."""
        self._released.clear()
        self._settled_alone.clear()
        for number in self.holding.forget(self._unit.held.ids()):
            found = self._unit.held.record(number)
            view = None if found is None else _paired_view(found[0], number)
            if found is None or view is None:  # damaged: waiting would be pointless
                self._released.append(number)
            else:
                self.holding.hold(view, *found, stored=True, late=True)

    def take(self, arrivals: Sequence[Arrival], now: int) -> list[Settleable]:
        """Stores new views. Returns the exchanges that can be settled; other views are held."""
        marks = [one.view.mark for one in arrivals if one.view is not None and one.view.mark is not None]
        late = self._unit.lone_views.marks(marks)
        watched, found = self._unit.watched, []
        for one in arrivals:
            if (end := own_end(one.record)) is not None:
                watched.record(end, now)
            if one.view is None:
                found.append(Settleable(ExchangeDraft(one.number, [one.record]), SettledBy.AT_ONCE))
            elif (whole := self._other_half(one, one.view, late)) is not None:
                for end in chain(other_ends(one.record), other_ends(whole.exchange.records[0])):
                    watched.record(end, now)
                found.append(whole)
            else:
                self.holding.hold(one.view, one.record, len(one.raw), late=one.view.mark in late)
        self._unit.samples.add_views(
            [StoredView(one.number, one.record.id, one.exchange, one.raw) for one in arrivals]
        )
        return found

    def _other_half(self, one: Arrival, view: View, late: Collection[int]) -> Settleable | None:
        if view.mark is None:
            return None
        other = self.holding.match(view, self._lone(one.record.time, view.mark) if view.mark in late else ())
        if other is None:
            return None
        held = self.holding.release(other.exchange)
        if held is None:
            found = self._late(other.exchange, LateView(one.number, one.record))
            one.exchange = one.number if found is None else found.exchange.number
            return found
        exchange = self._draft(held)
        if exchange is None:
            return None
        one.exchange = exchange.number
        exchange.records.append(one.record)
        exchange.second = one.number
        return Settleable(exchange, SettledBy.PAIRED)

    def _lone(self, time: int, mark: int) -> Iterator[View]:
        yield from self._unit.lone_views.near(time, mark)

    def _draft(self, held: Held) -> ExchangeDraft | None:
        """The exchange of a released view; None if its record cannot be read."""
        if held.stored:
            self._released.append(held.number)
        record = held.record
        if record is None and (found := self._unit.held.record(held.number)) is not None:
            record, _ = found
        return None if record is None else ExchangeDraft(held.number, [record])

    def due(self, now: int, at: float, most: int) -> list[Settleable]:
        """The exchanges of at most `most` views whose wait is over."""
        self.begin(now, at)
        found: dict[int, Settleable] = {}  # not counted yet
        for held, why in islice(self.holding.due(now, at), most):
            exchange = self._draft(held)
            if exchange is not None:
                guess = self._guess(held)
                one = self._both(held, exchange, guess.found, found)
                if one is None:
                    one = self._one(held, exchange, why, at, guess.doubt)
                found[one.exchange.number] = one
        return [*found.values()]

    def _guess(self, held: Held) -> Guess:
        """The other half of a due view by mark, with all that was learned since it arrived."""
        mark = held.view.mark
        if mark is None or not (held.late or self.holding.has_opposite(held.view)):
            return NONE
        self._unit.lone_views.add(self._settled_alone)  # now: one of them may be its other half
        self._settled_alone.clear()
        return self.holding.match_last(held.view, self._lone(held.view.start, mark))

    def _one(
        self, held: Held, exchange: ExchangeDraft, why: SettledBy, at: float, in_doubt: bool
    ) -> Settleable:
        record = exchange.records[0]
        view = LoneView(held.number, held.view.mark, held.likeness, record.time)
        if self._alike.concerns(held):
            self._unit.lone_views.add([view])  # at once: the next due view must find it as a candidate
        elif view.mark is not None and self._is_kept(held, record, why, at):
            self._settled_alone.append(view)
        return Settleable(exchange, why, in_doubt=in_doubt)

    def _is_kept(self, held: Held, record: Record, why: SettledBy, at: float) -> bool:
        if held.likeness is not None and self._unit.lone_views.has_room(likely=True):
            return True
        is_fresh = self._fresh_until is not None and at < self._fresh_until
        return not held.live or is_fresh or self._may_pair(record, why)

    def _both(
        self, held: Held, exchange: ExchangeDraft, found: View | None, uncounted: dict[int, Settleable]
    ) -> Settleable | None:
        """The exchange of a due view and the other half found for it, or the only view alike to it."""
        why = SettledBy.PAIRED
        if found is None and (alike := self._alike.other_half(held, exchange.records[0])) is not None:
            found, why = alike.view, SettledBy.ALIKE
        if found is None:
            return None
        waiting = self.holding.release(found.exchange)
        if waiting is None:
            return self._late_half(exchange, found.exchange, why, uncounted)
        other = self._draft(waiting)
        return None if other is None else self._joined(exchange, other, why)

    def _late_half(
        self, one: ExchangeDraft, number: int, why: SettledBy, uncounted: dict[int, Settleable]
    ) -> Settleable | None:
        alone = uncounted.pop(number, None)
        if alone is not None:
            self._unit.lone_views.remove(number)
            return self._joined(one, alone.exchange, why)
        late = self._late(number, LateView(one.number, one.records[0]))
        if late is not None:
            self._unit.samples.join(one.number, number)
        return late

    def _late(self, number: int, view: LateView) -> Settleable | None:
        """The exchange of a lone view, with its other view; None if neither is stored."""
        exchange, gone = self._unit.samples.load(number), self._unit.lone_views.gone(number)
        self._unit.lone_views.remove(number)
        if exchange is not None:
            return Settleable(exchange, SettledBy.LATE, view)
        return (
            None
            if gone is None
            else Settleable(ExchangeDraft(number, [gone]), SettledBy.LATE, view, gone=True)
        )

    def detach(self, exchange: ExchangeDraft) -> None:
        """Removes a settled exchange that is not stored, but its other half is still recognised."""
        self._unit.lone_views.add(self._settled_alone)
        self._settled_alone.clear()
        numbers = [exchange.number] if exchange.second is None else [exchange.number, exchange.second]
        self._unit.lone_views.detach(numbers)
        self._unit.samples.remove_views(numbers)

    def _joined(self, one: ExchangeDraft, other: ExchangeDraft, why: SettledBy) -> Settleable:
        """Two exchanges of one view, neither of them counted, as one."""
        first, second = sorted((one, other), key=lambda draft: draft.number)
        self._unit.samples.join(second.number, first.number)
        return Settleable(
            ExchangeDraft(first.number, [*first.records, *second.records], second=second.number), why
        )

    def _may_pair(self, record: Record, why: SettledBy) -> bool:
        """Whether the other half of a lone view may still arrive."""
        if any(map(self._unit.watched.may_have, other_ends(record))):
            return True
        likely = why is SettledBy.MEMORY or is_other_end_internal(record)
        return self._unit.lone_views.has_room(likely)

    def write(self) -> None:
        """Writes to the store which views are held, and which were settled alone."""
        self._unit.held.remove(self._released)
        self._unit.held.add(self.holding.take_new())
        self._unit.lone_views.add(self._settled_alone)
        self._released.clear()
        self._settled_alone.clear()
