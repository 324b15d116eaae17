"""Finds the other half of a due view by likeness (analysis/likeness.py), if it is unambiguous.

Candidates are the held and the lone views that may be of the same call. Two views are paired if each is the
other's only candidate. Two views with marks are never candidates: they are paired by mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple

from agent.wire import Record
from server.analysis.likeness import agree, may_be_one
from server.analysis.witnesses import View
from server.ingest.holding import Held, ViewHold
from server.store.unit import Unit

MAX_ALIKE = 256  # maximum held views of one likeness and time that are compared; of more, none is unambiguous
MAX_SCAN = 2048  # maximum held views of one likeness whose times are compared


class Seen(NamedTuple):
    """A view and its record."""

    view: View
    record: Record


class Alike:
    """Runs on the writer's thread."""

    def __init__(self, unit: Unit, holding: ViewHold) -> None:
        self._unit, self._holding = unit, holding

    def concerns(self, held: Held) -> bool:
        """Whether a view that is settled alone may be a candidate of another due view."""
        if held.likeness is None or not self._unit.lone_views.has_room(likely=True):
            return False
        is_unplaced = held.view.mark is None
        return (
            is_unplaced or self._unit.lone_views.has_unplaced or self._holding.has_alike(held.likeness, True)
        )

    def other_half(self, held: Held, record: Record) -> Seen | None:
        """The other half of a due view, which must be released. None if the store has no room for lone views:
        some candidates may be missing.
        """
        if held.likeness is None or not self._unit.lone_views.has_room(likely=True):
            return None
        one = Seen(held.view, record)
        other = self._only(held.likeness, one)
        if other is None or self._candidates(held.likeness, other) != []:
            return None
        return other

    def _only(self, likeness: int, one: Seen) -> Seen | None:
        found = self._candidates(likeness, one)
        return found[0] if found is not None and len(found) == 1 else None

    def _candidates(self, likeness: int, one: Seen) -> list[Seen] | None:
        """None if there are too many."""
        kinds = (True,) if one.view.mark is not None else (True, False)
        near = chain.from_iterable(self._holding.alike(one.view, likeness, unplaced) for unplaced in kinds)
        scanned = [*islice(near, MAX_SCAN + 1)]
        held = [other for other in scanned if may_be_one(one.view, other.view)]
        if len(scanned) > MAX_SCAN or len(held) > MAX_ALIKE:
            return None
        lone = self._lone(likeness, one.view)
        if lone is None:
            return None
        return [
            other
            for other in chain(self._read(held), lone)
            if may_be_one(one.view, other.view) and agree(one.record, other.record)
        ]

    def _lone(self, likeness: int, view: View) -> list[Seen] | None:
        if view.mark is not None and not self._unit.lone_views.has_unplaced:
            return []
        found = self._unit.lone_views.alike(likeness, view.start, view.end)
        return None if found is None else [Seen(*one) for one in found]

    def _read(self, others: Iterable[Held]) -> Iterator[Seen]:
        """Held views with their records; unreadable ones are left out."""
        for held in others:
            record = held.record
            if record is None and (found := self._unit.held.record(held.number)) is not None:
                record, _ = found
            if record is not None:
                yield Seen(held.view, record)
