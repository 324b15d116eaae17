"""Remembers items that came more than once, a bounded number; of items that came once only a hash.

So items that differ with each message neither fill the memory nor stay in it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

MAX_ONCE = 8192  # hashes

Item = TypeVar("Item", bound=Hashable)


class RepeatCache(Generic[Item]):
    """`known` holds at most `most` items; at a bound all are forgotten."""

    __slots__ = ("_most", "_once", "known")

    def __init__(self, most: int) -> None:
        self.known: set[Item] = set()
        self._most = most
        self._once: set[int] = set()

    def add(self, item: Item) -> None:
        """Adds an unknown item; it is known from the second time on."""
        mark = hash(item)  # randomised by process; two items with one hash are remembered sooner, no more
        if mark in self._once:
            if len(self.known) >= self._most:
                self.known.clear()
            self.known.add(item)
            return
        if len(self._once) >= MAX_ONCE:
            self._once.clear()
        self._once.add(mark)
