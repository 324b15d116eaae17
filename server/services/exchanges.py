"""Whole exchanges, as long as retention keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.services.errors import NotFound
from server.services.listing import Listed, Row
from server.services.narrowing import Cursor, Narrowing
from server.store import decisions, queries
from server.store.database import Connection, Store
from server.store.queries import Filters


@dataclass(frozen=True, slots=True)
class Inspected:
    """An exchange with its API and the numbers of its deviations, None for one that is not kept itself."""

    exchange: Row
    api: Row | None
    deviations: Sequence[int | None]


class StoredExchanges:
    def __init__(self, store: Store) -> None:
        self._store = store

    def listed(self, narrowing: Narrowing, limit: int, after: Cursor | None) -> Listed[Row]:
        """Newest first; fewer than `limit` where bodies are large."""
        with self._store.reading() as db:
            filters = narrowing.resolved(db)
            if filters is None:
                return Listed((), False)
            return Listed(*queries.exchanges(db, filters, limit, after))

    def one(self, id: str) -> Row:
        """By the id of any of its views. Raises NotFound."""
        with self._store.reading() as db:
            return _exchange(db, id)

    def inspected(self, id: str) -> Inspected:
        """By the id of any of its views. Raises NotFound."""
        with self._store.reading() as db:
            row = _exchange(db, id)
            apis = queries.apis(db, Filters(api=row["api"]), 1, None)
            numbers = decisions.numbers(db, row["api"], row["deviations"])
        return Inspected(row, apis[0] if apis else None, numbers)


def _exchange(db: Connection, id: str) -> Row:
    row = queries.exchange(db, id)
    if row is None:
        raise NotFound("no such exchange, or it was deleted by retention")
    return row
