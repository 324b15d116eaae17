"""The data of the first page and of an API's page, read at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from server.services.errors import UnknownApi
from server.services.narrowing import Cursor, Filters, number_of
from server.store.rows import (
    AgentRow,
    ApiRow,
    DeviationRow,
    ExchangeRow,
    Ledgers,
    Listed,
    OperationRow,
    Totals,
)
from server.store.store import Store

LATEST = 20  # deviations and exchanges


@dataclass(frozen=True, slots=True)
class Summary:
    """`agent` is the one that reported last."""

    apis: Listed[ApiRow]
    deviations: Listed[DeviationRow]
    totals: Totals
    ledgers: Ledgers
    agent: AgentRow | None


@dataclass(frozen=True, slots=True)
class ApiSummary:
    """`rebuilt` is the newest version of the learned document."""

    api: ApiRow
    operations: Listed[OperationRow]
    deviations: Listed[DeviationRow]
    exchanges: Listed[ExchangeRow]
    rebuilt: str | None


class Overview:
    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self, limit: int, after: Cursor | None) -> Summary:
        with self._store.reading() as reader:
            heard = reader.fleet.agents(1, None).rows
            return Summary(
                apis=reader.inventory.apis(Filters(), limit, after),
                deviations=reader.deviations.listed(Filters(), LATEST, None),
                totals=reader.inventory.totals(),
                ledgers=reader.fleet.ledgers(),
                agent=heard[0] if heard else None,
            )

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
