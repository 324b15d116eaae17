"""What a first look shows, of one moment: all that is watched, or one API."""

from __future__ import annotations

from dataclasses import dataclass

from server.services.errors import UnknownApi
from server.services.listing import Listed, Row
from server.services.narrowing import Cursor
from server.store import agents, queries, rebuilt
from server.store.database import Store
from server.store.queries import Filters

LATEST = 20  # deviations and exchanges


@dataclass(frozen=True, slots=True)
class Summary:
    """`totals` are counts of APIs and exchanges, `agent` is the one heard of last."""

    apis: Listed[Row]
    deviations: Listed[Row]
    totals: dict[str, int]
    ledger: Row
    agent: Row | None


@dataclass(frozen=True, slots=True)
class ApiSummary:
    """`rebuilt` is the newest version of the document made of its traffic."""

    api: Row
    operations: Listed[Row]
    deviations: Listed[Row]
    exchanges: Listed[Row]
    rebuilt: str | None


class Overview:
    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self, limit: int, after: Cursor | None) -> Summary:
        with self._store.reading() as db:
            heard = agents.agents(db, 1, None)
            return Summary(
                apis=Listed.cut(queries.apis(db, Filters(), limit + 1, after), limit),
                deviations=Listed.cut(queries.deviations(db, Filters(), LATEST + 1, None), LATEST),
                totals=queries.totals(db),
                ledger=agents.ledger(db),
                agent=heard[0] if heard else None,
            )

    def of_api(self, api: int, limit: int, after: Cursor | None) -> ApiSummary:
        """Raises UnknownApi."""
        filters = Filters(api=api)
        with self._store.reading() as db:
            rows = queries.apis(db, filters, 1, None)
            if not rows:
                raise UnknownApi
            return ApiSummary(
                api=rows[0],
                operations=Listed.cut(queries.operations(db, api, Filters(), limit + 1, after), limit),
                deviations=Listed.cut(queries.deviations(db, filters, LATEST + 1, None), LATEST),
                exchanges=Listed(*queries.exchanges(db, filters, LATEST, None)),
                rebuilt=rebuilt.newest_version(db, api),
            )
