"""The inventory: APIs and their operations, as traffic and specifications show them."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from itertools import islice

from server.analysis.specs.kinds import Verdict
from server.analysis.specs.model import Operation
from server.ingest.catalogue_editor import CatalogueEditor
from server.services.errors import UnknownApi
from server.services.listing import Listed, Row
from server.services.narrowing import Cursor, Narrowing
from server.store import queries
from server.store.database import Store
from server.store.queries import Filters


class OperationState(StrEnum):
    """Whether an operation is undocumented, deprecated or unused."""

    SHADOW = "shadow"
    ZOMBIE = "zombie"
    UNUSED = "unused"


class Inventory:
    def __init__(self, store: Store, catalogue: CatalogueEditor) -> None:
        self._store = store
        self._catalogue = catalogue

    def number(self, id: str) -> int:
        """The number of the API of this id, or of the one it was merged into. Raises UnknownApi."""
        with self._store.reading() as db:
            number = queries.number_of_api(db, id)
        if number is None:
            raise UnknownApi
        return number

    def api(self, api: int) -> Row:
        """Raises UnknownApi."""
        with self._store.reading() as db:
            rows = queries.apis(db, Filters(api=api), 1, None)
        if not rows:
            raise UnknownApi
        return rows[0]

    def apis(self, narrowing: Narrowing, limit: int, after: Cursor | None) -> Listed[Row]:
        """Most recently called first."""
        with self._store.reading() as db:
            filters = narrowing.resolved(db)
            rows = [] if filters is None else queries.apis(db, filters, limit + 1, after)
        return Listed.cut(rows, limit)

    def operations(
        self, api: int, narrowing: Narrowing, state: OperationState | None, limit: int, after: Cursor | None
    ) -> Listed[Row]:
        """An API's operations that were called, busiest first: all, or those of one state."""
        deprecated = True if state is OperationState.ZOMBIE else None
        filters = narrowing.filters
        if state is OperationState.SHADOW:
            filters = replace(filters, verdict=Verdict.SHADOW)
        with self._store.reading() as db:
            return Listed.cut(queries.operations(db, api, filters, limit + 1, after, deprecated), limit)

    def unused(self, api: int, limit: int, start: int) -> Listed[Operation]:
        """Operations of an API's specifications that were never called, in their order, from the one at
        `start`.
        """
        specifications = self._catalogue.published.of_api(api)
        with self._store.reading() as db:
            called = queries.called(db, api)
        known = {key: one for each in specifications for key, one in each.operations.items()}
        unused = (one for key, one in known.items() if key not in called)
        return Listed.cut([*islice(unused, start, start + limit + 1)], limit)
