"""Filters of lists, and their cursors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from server.store.filters import Filters
from server.store.reader import Reader
from server.store.rows import Cursor

__all__ = ["Cursor", "Filters", "Narrowing"]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The filters, with an API's id; None for any."""

    api: str | None = None
    filters: Filters = field(default_factory=Filters)

    def resolved(self, reader: Reader) -> Filters | None:
        """The filters with the API's number; None if no API has this id, so that nothing matches."""
        if self.api is None:
            return self.filters
        number = reader.inventory.number_of(self.api)
        return None if number is None else replace(self.filters, api=number)
