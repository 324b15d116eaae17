"""The columns of a list: what of an item each shows, as text for people and for spreadsheets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Names = Callable[[str], str]
"""The name of the API with an id."""

RED, GREEN, YELLOW, MAGENTA, FAINT = "31", "32", "33", "35", "2"  # SGR, ECMA-48 8.3.117
_STATUS = {"2": GREEN, "3": GREEN, "4": YELLOW, "5": RED}
_WORDS = {
    "conforming": GREEN,
    "deviating": RED,
    "shadow": YELLOW,
    "zombie": MAGENTA,
    "high": RED,
    "medium": YELLOW,
}


def by_status(text: str) -> str | None:
    """The colour of a status."""
    return _STATUS.get(text[:1])


def by_word(text: str) -> str | None:
    """The colour of a verdict or severity."""
    return _WORDS.get(text)


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """`value` shows a part of an item. A `wide` column is in `-o wide` and CSV only. Where the terminal is
    narrow, one that `shrinks` is cut, and a `key` is left out last. `colour` gives the SGR code for a text.
    """

    name: str
    value: Callable[[T, Names], object]
    wide: bool = False
    shrinks: bool = False
    key: bool = False
    colour: Callable[[str], str | None] | None = None


def attribute(name: str, **how: Any) -> Column[Any]:
    """A column of an attribute that has its name."""
    return Column(name, lambda item, _: getattr(item, name), **how)


def moment(name: str, **how: Any) -> Column[Any]:
    """A column of a time, which people read to the second."""
    return Column(name, lambda item, _: Moment(getattr(item, name)), **how)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as RFC 3339 text, shown with so many digits of a second."""

    text: str | None
    digits: int = 0

    def __str__(self) -> str:
        return self.text or ""

    def short(self) -> str:
        """In UTC, as people compare them."""
        if self.text is None:
            return ""
        end = 19 + (self.digits + 1 if self.digits else 0)
        return f"{self.text[:end]}Z".replace("ZZ", "Z")


def shown(value: object) -> str:
    """A value for people; a hyphen if there is none."""
    if isinstance(value, Moment):
        return value.short() or "-"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return exact(value) or "-"


def exact(value: object) -> str:
    """A value for programs: counts as `2xx=7 5xx=1`, several names with spaces between them."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return " ".join(f"{name}={count}" for name, count in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(map(exact, value))
    return str(value)
