"""The data of the overview and of an API's page, each read at one moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from server.analysis.specs.document.pointers import Pointers
from server.analysis.specs.excerpts import Excerpt, of_operation
from server.analysis.specs.kinds import Kind, Severity, Verdict, Where, severity_of
from server.analysis.specs.model import SpecError
from server.catalogue import Catalogue
from server.ingest.catalogue_editor import CatalogueEditor
from server.services.errors import InvalidInput, NotFound, UnknownApi
from server.services.narrowing import Cursor, Filters, number_of
from server.store.filters import FieldFilter, FilterField
from server.store.reader import Reader
from server.store.rows import (
    AgentRow,
    ApiRow,
    ApiUse,
    DeprecatedUse,
    DeviationCount,
    DeviationRow,
    EstateCounts,
    ExchangeRow,
    Ledgers,
    Listed,
    Newcomers,
    OperationRow,
    SpecTitle,
)
from server.store.store import Store
from server.store.values import DAY_NS

LATEST = 20  # deviations and exchanges
SAMPLES = 5  # exchanges of an operation
SHORT = 6  # rows of each list of the overview
NEW_NS = DAY_NS  # what was first seen within this time is new


@dataclass(frozen=True, slots=True)
class Described:
    """The number of operations that specifications describe, and how many of them were called."""

    operations: int
    called: int


@dataclass(frozen=True, slots=True)
class Estate:
    """All APIs at one moment. `agent` is the one that reported last, `new_since` the time (ns) since which
    something counts as new; `severe` is the number of deviations of high severity.
    """

    counts: EstateCounts
    described: Described
    severe: int
    newcomers: Newcomers
    new_since: int
    busiest: Sequence[ApiUse]
    worst: Sequence[ApiUse]
    deprecated_uses: Sequence[DeprecatedUse]
    ledgers: Ledgers
    agent: AgentRow | None

    @property
    def judged(self) -> int:
        """Calls with a verdict."""
        return sum(self.counts.verdicts.values())

    @property
    def documented_calls(self) -> int:
        """Calls of described operations."""
        return self.judged - self.counts.verdicts.get(Verdict.SHADOW, 0)


@dataclass(frozen=True, slots=True)
class OperationSummary:
    """An operation with its latest deviations and exchanges. `only` filters lists to it; `excerpt` is its
    description in the specification with this `title`, None if there is none.
    """

    api: ApiRow
    operation: OperationRow
    only: Filters
    deviations: Listed[DeviationRow]
    exchanges: Listed[ExchangeRow]
    title: SpecTitle | None
    excerpt: Excerpt | None


@dataclass(frozen=True, slots=True)
class ApiSummary:
    """`rebuilt` is the newest version of the learned document."""

    api: ApiRow
    operations: Listed[OperationRow]
    deviations: Listed[DeviationRow]
    exchanges: Listed[ExchangeRow]
    rebuilt: str | None


class Overview:
    def __init__(
        self, store: Store, catalogue: CatalogueEditor, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._clock = clock

    def estate(self) -> Estate:
        """All APIs together."""
        catalogue, new_since = self._catalogue.published, self._clock() - NEW_NS
        with self._store.reading() as reader:
            heard = reader.fleet.agents(1, None).rows
            return Estate(
                counts=reader.estate.counts(),
                described=_described(reader, catalogue),
                severe=_severe(reader.estate.deviation_counts()),
                newcomers=reader.estate.newcomers(new_since, SHORT),
                new_since=new_since,
                busiest=reader.estate.busiest(SHORT),
                worst=reader.estate.worst(SHORT),
                deprecated_uses=reader.estate.deprecated_uses(SHORT),
                ledgers=reader.fleet.ledgers(),
                agent=heard[0] if heard else None,
            )

    def of_operation(self, id: str, operation: str) -> OperationSummary:
        """An operation, by its API's id and its own. Raises UnknownApi and NotFound."""
        with self._store.reading() as reader:
            number = number_of(reader, id)
            api, row = reader.inventory.api(number), reader.inventory.operation(number, operation)
            if api is None or row is None:
                raise NotFound("no such operation, or it was never called")
            filters = Filters(fields=(FieldFilter(FilterField.OPERATION, (row.number,)),), api=number)
            found = self._excerpt(number, row.key)
            return OperationSummary(
                api=api,
                operation=row,
                only=filters,
                deviations=reader.deviations.listed(filters, LATEST, None),
                exchanges=reader.exchanges.listed(filters, SAMPLES, None),
                title=found[0] if found else None,
                excerpt=found[1] if found else None,
            )

    def spec_part(self, api: int, operation: str | None, place: str | None) -> tuple[SpecTitle, Excerpt]:
        """What the newest specification of an API (its number) says of an operation, or at a JSON pointer.
        Raises NotFound, and InvalidInput unless one of both is given.
        """
        if place is not None and operation is None:
            found = self._part(api, place.removeprefix("#"))
        elif operation is not None and place is None:
            found = self._excerpt(api, operation)
        else:
            raise InvalidInput("give either operation or place")
        if found is None:
            raise NotFound("no specification of this API has that")
        return found

    def _part(self, api: int, place: str) -> tuple[SpecTitle, Excerpt] | None:
        for one in reversed(self._catalogue.published.of_api(api)):
            said = one.specification
            with suppress(SpecError):
                node = Pointers(said.document).at(place, place)
                return SpecTitle(one.stored.id, said.title, said.version), Excerpt(place, node)
        return None

    def _excerpt(self, api: int, key: str) -> tuple[SpecTitle, Excerpt] | None:
        for one in reversed(self._catalogue.published.of_api(api)):
            said, excerpt = one.specification, of_operation(one.specification, key)
            if excerpt is not None:
                return SpecTitle(one.stored.id, said.title, said.version), excerpt
        return None

    def of_api(self, id: str, limit: int, after: Cursor | None) -> ApiSummary:
        """The summary of the API with this id, or of the one it was merged into. Raises UnknownApi."""
        with self._store.reading() as reader:
            api = number_of(reader, id)
            filters = Filters(api=api)
            row = reader.inventory.api(api)
            if row is None:
                raise UnknownApi
            return ApiSummary(
                api=row,
                operations=reader.inventory.operations(filters, limit, after),
                deviations=reader.deviations.listed(filters, LATEST, None),
                exchanges=reader.exchanges.listed(filters, LATEST, None),
                rebuilt=reader.lessons.newest_version(api),
            )


def _described(reader: Reader, catalogue: Catalogue) -> Described:
    called = sum(
        key in specs.operations
        for api, specs in catalogue.apis.items()
        for key in reader.inventory.called(api)
    )
    return Described(sum(len(specs.operations) for specs in catalogue.apis.values()), called)


def _severe(counts: Sequence[DeviationCount]) -> int:
    return sum(one.count for one in counts if severity_of(Kind(one.kind), Where(one.where)) is Severity.HIGH)
