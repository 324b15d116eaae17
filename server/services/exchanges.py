"""Stored exchanges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.analysis.specs.deviation import Deviation
from server.ingest.catalogue_editor import CatalogueEditor
from server.services.errors import NotFound
from server.services.judged import judged_again
from server.services.narrowing import Cursor, Filters
from server.store.reader import Reader
from server.store.rows import ApiRow, ExchangeRow, FacetField, Facets, Listed
from server.store.store import Store

MAX_COUNTED = 10_000  # for a total, or facets


@dataclass(frozen=True, slots=True)
class Inspected:
    """An exchange with its API and the ids of its deviations, None for one that is not stored; `judged` are
    the deviations with their exact places.
    """

    exchange: ExchangeRow
    api: ApiRow | None
    deviations: Sequence[str | None]
    judged: Sequence[Deviation]


class StoredExchanges:
    def __init__(self, store: Store, catalogue: CatalogueEditor) -> None:
        self._store = store
        self._catalogue = catalogue

    def listed(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[ExchangeRow]:
        """Exchanges, newest first; fewer than `limit` if bodies are large."""
        with self._store.reading() as reader:
            return reader.exchanges.listed(filters, limit, after)

    def facets(self, filters: Filters, fields: Sequence[FacetField]) -> Facets:
        """The number of exchanges and the most frequent values of some fields, of the newest MAX_COUNTED."""
        with self._store.reading() as reader:
            return reader.exchanges.facets(filters, fields, MAX_COUNTED)

    def one(self, id: str) -> ExchangeRow:
        """By the id of any of its views. Raises NotFound."""
        with self._store.reading() as reader:
            return _exchange(reader, id)

    def inspected(self, id: str) -> Inspected:
        """By the id of any of its views. Raises NotFound."""
        with self._store.reading() as reader:
            found = _exchange(reader, id)
            ids = reader.deviations.ids(found.api, found.deviations)
            api = reader.inventory.api(found.api)
        return Inspected(found, api, ids, judged_again(self._catalogue.published, found))


def _exchange(reader: Reader, id: str) -> ExchangeRow:
    found = reader.exchanges.one(id)
    if found is None:
        raise NotFound("no such exchange, or it was deleted by retention")
    return found
