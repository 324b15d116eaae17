"""Filters of lists, and their cursors; the API of an id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from server.services.errors import UnknownApi
from server.store.filters import Filters
from server.store.reader import Reader
from server.store.rows import Cursor, Listed

__all__ = ["Cursor", "Filters", "Narrowing", "number_of", "rows_of"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The filters, with an API's id; None for any."""

    api: str | None = None
    filters: Filters = field(default_factory=Filters)

    def specified(self, wanted: bool | None) -> Narrowing:
        """Limited to APIs with a specification, or to those without."""
        return self if wanted is None else replace(self, filters=replace(self.filters, specified=wanted))

    def resolved(self, reader: Reader) -> Filters | None:
        """The filters with the API's number; None if no API has this id, so that nothing matches."""
        if self.api is None:
            return self.filters
        number = reader.inventory.number_of(self.api)
        return None if number is None else replace(self.filters, api=number)


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
