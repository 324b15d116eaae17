"""Counts with first and last time."""

from __future__ import annotations

from typing import TypeAlias

TimesState: TypeAlias = tuple[int, int, int]


class Times:
    """A count, with the first and last time (ns)."""

    __slots__ = ("count", "first", "last")

    def __init__(self, count: int = 0, first: int = 0, last: int = 0) -> None:
        self.count, self.first, self.last = count, first, last

    def record(self, now: int) -> None:
        """Counts one more."""
        if not self.count or now < self.first:
            self.first = now
        if now > self.last:
            self.last = now
        self.count += 1

    def absorb(self, other: Times) -> None:
        """Adds another's count."""
        if other.count:
            self.first = min(self.first, other.first) if self.count else other.first
            self.last = max(self.last, other.last)
            self.count += other.count

    def state(self) -> TimesState:
        """The state, for msgpack."""
        return self.count, self.first, self.last
