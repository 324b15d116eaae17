"""Filters of lists, and their cursors; the API of an id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from server.services.errors import UnknownApi
from server.store.filters import Filters
from server.store.reader import Reader
from server.store.rows import Cursor, Listed

__all__ = ["ANY", "Cursor", "Filters", "number_of", "rows_of"]

T = TypeVar("T")

ANY = Filters()


def rows_of(read: Callable[[Cursor | None], Listed[T]]) -> Iterator[T]:
    """All rows of a list, page by page: `read` returns the page at a cursor."""
    after = None
    while True:
        page = read(after)
        yield from page.rows
        after = page.next
        if after is None:
            return


def number_of(reader: Reader, id: str) -> int:
    """The number of the API with this id, or of the one it was merged into. Raises UnknownApi.

    Who reads more of the API by its number does so with the same reader: another one may see it merged.
    """
    number = reader.inventory.number_of(id)
    if number is None:
        raise UnknownApi
    return number
