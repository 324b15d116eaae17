"""Lists in pieces: the rows of one piece, and whether there are more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Row = dict[str, Any]
"""As the store's queries answer."""


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    rows: Sequence[T]
    more: bool

    @classmethod
    def cut(cls, rows: Sequence[T], limit: int) -> Listed[T]:
        """Of rows that were asked for with one more than `limit`."""
        return cls(rows[:limit], len(rows) > limit)
