"""Why a query means nothing."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class BadValue(ValueError):
    """A value that its field does not take; the message is the reason."""


class QueryError(ValueError):
    """A query that means nothing. `field` is None where it is not about one; `position` is the character of
    the query's text at which the wrong part begins, from 1, and None in a parameter of its own.
    """

    def __init__(self, reason: str, field: str | None = None, position: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field
        self.position = position

    def __str__(self) -> str:
        named = f"{self.field}: {self.reason}" if self.field else self.reason
        return named if self.position is None else f"at character {self.position}: {named}"


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A question to append to a message, or nothing."""
    close = get_close_matches(wrong.lower()[:100], [*known], n=1)
    return f"; did you mean {close[0]}?" if close else ""
