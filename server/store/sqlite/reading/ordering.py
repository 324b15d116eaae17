"""Orders of lists by an integer, and by the row's number where that is the same; and where a page begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from server.store.filters import Sort
from server.store.rows import Cursor
from server.store.sqlite.reading.readable import NEWEST

T = TypeVar("T")

LOWEST: Cursor = (-1, -1)


@dataclass(frozen=True, slots=True)
class SortKey(Generic[T]):
    """An integer that is not negative: in SQL, and of a row."""

    expression: str
    of: Callable[[T], int]


SortKeys = Mapping[str, SortKey[T]]


@dataclass(frozen=True, slots=True)
class Ordering(Generic[T]):
    """`number` is the row's number in SQL."""

    key: SortKey[T]
    ascending: bool
    number: str = "number"

    @property
    def beginning(self) -> str:
        """The condition that rows are behind a cursor: two placeholders."""
        return f"({self.key.expression}, {self.number}) {'>' if self.ascending else '<'} (?, ?)"

    @property
    def end(self) -> str:
        """The condition that rows are not behind a cursor: two placeholders."""
        return f"({self.key.expression}, {self.number}) {'<=' if self.ascending else '>='} (?, ?)"

    def __str__(self) -> str:
        direction = "ASC" if self.ascending else "DESC"
        return f"ORDER BY {self.key.expression} {direction}, {self.number} {direction}"

    def start(self, after: Cursor | None) -> Cursor:
        """The cursor behind which a page begins."""
        return after or (LOWEST if self.ascending else NEWEST)


def ordering(keys: SortKeys[T], sort: Sort | None, number: str = "number") -> Ordering[T]:
    """The order that is asked for; the default is the first key, from the highest."""
    if sort is None:
        return Ordering(next(iter(keys.values())), ascending=False, number=number)
    return Ordering(keys[sort.key], sort.ascending, number)
