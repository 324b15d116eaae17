"""Writing of views that wait for their other halves, as Protocols that an engine implements (unit.py)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from agent.wire import Record
from server.analysis.witnesses import View
from server.store.values import LoneView


class HeldViews(Protocol):
    """Stored views that are held: not counted as an exchange yet. By number."""

    def add(self, numbers: Iterable[int]) -> None: ...
    def remove(self, numbers: Iterable[int]) -> None: ...

    def ids(self) -> Mapping[int, str]:
        """Record ids of all held views."""

    def record(self, number: int) -> tuple[Record, int] | None:
        """A stored view's record and its packed size in bytes; None if it cannot be read."""


class LoneViews(Protocol):
    """Lone views, by number."""

    def add(self, views: Iterable[LoneView]) -> None: ...

    def remove(self, number: int) -> None: ...

    def detach(self, numbers: Iterable[int]) -> None:
        """Keeps lone views although their exchanges will not be stored, without their content. Unplaced ones
        are removed.
        """

    def gone(self, number: int) -> Record | None:
        """The record, without content, of a lone view whose exchange is not stored."""

    def marks(self, marks: Sequence[int]) -> Collection[int]:
        """The ones of these marks that a lone view has."""

    def near(self, time: int, mark: int) -> Sequence[View]:
        """Lone views with a mark, near a time."""

    def alike(self, likeness: int, start: int, end: int) -> Sequence[tuple[View, Record]] | None:
        """The lone views of a likeness whose calls may have lasted at some time from `start` to `end` (ns),
        with their records. None if there are too many to compare.
        """

    @property
    def has_unplaced(self) -> bool:
        """Whether any lone view has no mark."""

    def expire(self, now: int, most: int) -> int:
        """Removes lone views older than a day, in steps, and then the oldest beyond `most`. Returns how many
        of the latter.
        """

    def has_room(self, likely: bool) -> bool:
        """Whether a lone view may be added whose other end no known agent watches. There is less room for
        those whose other half is unlikely to arrive, so that they do not displace the others.
        """


class WatchedAddresses(Protocol):
    """Addresses that agents watch."""

    def record(self, address: str, now: int) -> None:
        """Records that the address is watched at `now` (ns)."""

    def may_have(self, address: str) -> bool:
        """Whether an agent may watch it; always true if there are too many to store."""

    def expire(self, now: int) -> None:
        """Removes addresses that were not reported for days."""
