"""The inventory: APIs and operations, from traffic and specifications."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from server.analysis.specs.kinds import Verdict
from server.analysis.specs.model import Operation
from server.ingest.catalogue_editor import CatalogueEditor
from server.services.errors import InvalidInput, UnknownApi
from server.services.narrowing import Cursor, Filters, number_of
from server.store.filters import FieldFilter, FilterField
from server.store.keys import id_of
from server.store.reader import Reader
from server.store.rows import ApiRow, Listed, OperationRow, Totals
from server.store.store import Store


class OperationState(StrEnum):
    """Whether an operation is undocumented, deprecated or unused."""

    SHADOW = "shadow"
    ZOMBIE = "zombie"
    UNUSED = "unused"


SHADOW = FieldFilter(FilterField.VERDICT, (Verdict.SHADOW,))


@dataclass(frozen=True, slots=True)
class UnusedOperation:
    """A described operation that was never called, with its API's id."""

    api_id: str
    operation: Operation


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

    def unused(
        self, filters: Filters, limit: int, after: Cursor | None, api: int | None = None
    ) -> Listed[UnusedOperation]:
        """Operations of specifications that were never called, in document order; of all APIs, or of one.
        Raises InvalidInput if anything but APIs is asked for: nothing else is known of them.
        """
        start = after[1] + 1 if after else 0
        _check_only_apis(filters)
        with self._store.reading() as reader:
            apis = [api] if api is not None else _apis(reader, filters, self._catalogue.published.apis)
            found = [*islice(self._unused(reader, apis), start, start + limit + 1)]
        return Listed(found[:limit], (0, start + limit - 1) if len(found) > limit else None)

    def _unused(self, reader: Reader, apis: Iterable[int]) -> Iterator[UnusedOperation]:
        for api in apis:
            called = reader.inventory.called(api)
            known = self._catalogue.published.operations(api)
            yield from (UnusedOperation(id_of(api), one) for key, one in known.items() if key not in called)


def _apis(reader: Reader, filters: Filters, specified: Iterable[int]) -> Sequence[int]:
    """The APIs with specifications that are asked for, by id."""
    if not filters.fields:
        return sorted(specified)
    ids = (value for one in filters.fields for value in one.values if isinstance(value, str))
    wanted = {reader.inventory.number_of(id) for id in ids}
    return [api for api in sorted(specified) if api in wanted]


def _check_only_apis(filters: Filters) -> None:
    """Raises InvalidInput."""
    times = (filters.since, filters.until, filters.new_since)
    narrow = [one for one in filters.fields if one.field is not FilterField.API or one.negated]
    if narrow or filters.sort or any(time is not None for time in times):
        raise InvalidInput("of unused operations only the API is known: give api, by id, and nothing else")
