"""The inventory: APIs and operations, from traffic and specifications."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from server.analysis.specs.kinds import Verdict
from server.analysis.specs.model import Operation
from server.ingest.catalogue_editor import CatalogueEditor
from server.services.errors import UnknownApi
from server.services.narrowing import Cursor, Filters, number_of
from server.store.filters import FieldFilter, FilterField
from server.store.keys import id_of
from server.store.rows import ApiRow, Listed, OperationRow, Totals
from server.store.store import Store


class OperationState(StrEnum):
    """Whether an operation is undocumented, deprecated or unused."""

    SHADOW = "shadow"
    ZOMBIE = "zombie"
    UNUSED = "unused"


SHADOW = FieldFilter(FilterField.VERDICT, (Verdict.SHADOW,))


@dataclass(frozen=True, slots=True)
class FoundApi:
    """An API's number, and its present id."""

    number: int
    id: str


class Inventory:
    def __init__(self, store: Store, catalogue: CatalogueEditor) -> None:
        self._store = store
        self._catalogue = catalogue

    def found(self, id: str) -> FoundApi:
        """The API with this id, or the one it leads to. Raises UnknownApi."""
        with self._store.reading() as reader:
            number = number_of(reader, id)
        return FoundApi(number, id_of(number))

    def api(self, id: str) -> ApiRow:
        """The API with this id, or the one it was merged into. Raises UnknownApi."""
        with self._store.reading() as reader:
            row = reader.inventory.api(number_of(reader, id))
        if row is None:
            raise UnknownApi
        return row

    def apis(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[ApiRow]:
        """APIs, most recently called first."""
        with self._store.reading() as reader:
            return reader.inventory.apis(filters, limit, after)

    def operations(
        self,
        filters: Filters,
        state: OperationState | None,
        limit: int,
        after: Cursor | None,
        api: int | None = None,
    ) -> Listed[OperationRow]:
        """Operations that were called, busiest first: all, or those of one state; of all APIs, or of one."""
        deprecated = True if state is OperationState.ZOMBIE else None
        filters = replace(filters, api=api)
        if state is OperationState.SHADOW:
            filters = replace(filters, fields=(*filters.fields, SHADOW))
        with self._store.reading() as reader:
            return reader.inventory.operations(filters, limit, after, deprecated)

    def totals(self) -> Totals:
        """The number of called APIs and of their calls."""
        with self._store.reading() as reader:
            return reader.inventory.totals()

    def unused(self, api: int, limit: int, after: Cursor | None) -> Listed[Operation]:
        """Operations of an API's specifications that were never called, in document order."""
        specifications = self._catalogue.published.of_api(api)
        with self._store.reading() as reader:
            called = reader.inventory.called(api)
        known = {key: one for each in specifications for key, one in each.operations.items()}
        start = after[1] + 1 if after else 0
        unused = (one for key, one in known.items() if key not in called)
        found = [*islice(unused, start, start + limit + 1)]
        return Listed(found[:limit], (0, start + limit - 1) if len(found) > limit else None)
