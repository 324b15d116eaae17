"""APIs and their operations with their counts."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from server.analysis.inventory import ApiKind
from server.store.filters import Filters
from server.store.keys import id_of, number_in
from server.store.parts import StoredPart
from server.store.rows import (
    ApiRoute,
    ApiRow,
    Cursor,
    Listed,
    OperationConsumer,
    OperationKind,
    OperationRow,
    SpecTitle,
    SubOperationCount,
    SubOutcome,
    Totals,
)
from server.store.sqlite.reading.conditions import Conditions, status_of
from server.store.sqlite.reading.field_tests import APIS, OPERATIONS
from server.store.sqlite.reading.ids import api_number
from server.store.sqlite.reading.ordering import SortKey, SortKeys, ordering
from server.store.sqlite.reading.readable import END, SPARE, Readable, piece
from server.store.values import HOUR_NS, MAX_TITLE

MAX_CONSUMERS = 50  # busiest consumers returned per operation
MAX_SUB_OPERATIONS = 100  # the same
MAX_ROUTES = 100  # of an API
API_KEYS: SortKeys[ApiRow] = {
    "last_seen": SortKey("last_seen", lambda one: one.last_seen or 0),
    "first_seen": SortKey("coalesce(first_seen, 0)", lambda one: one.first_seen or 0),
    "exchanges": SortKey("stored", lambda one: one.exchanges + one.uncertain),
    "operations": SortKey("operations", lambda one: one.operations),
}
OPERATION_KEYS: SortKeys[OperationRow] = {
    "count": SortKey("count", lambda one: one.count + one.uncertain),
    "last_seen": SortKey("coalesce(last_seen, 0)", lambda one: one.last_seen or 0),
    "first_seen": SortKey("coalesce(first_seen, 0)", lambda one: one.first_seen or 0),
}
UNUSED = """SELECT number FROM consumers
    WHERE number NOT IN (SELECT consumer FROM calls UNION SELECT consumer FROM deviation_calls
    UNION SELECT consumer FROM coverage UNION SELECT consumer FROM exchanges)"""
"""Consumers that no count and no list refers to."""


class SqliteInventory:
    def __init__(self, db: sqlite3.Connection, readable: Readable) -> None:
        self._db = db
        self._readable = readable

    def number_of(self, id: str) -> int | None:
        return api_number(self._db, id)

    def name_of(self, api: int) -> str:
        return str(self._db.execute("SELECT name FROM apis WHERE number = ?", (api,)).fetchone()[0])

    def api(self, api: int) -> ApiRow | None:
        rows = self._apis(Filters(api=api), 1, None, uncalled=True).rows
        return rows[0] if rows else None

    def apis(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[ApiRow]:
        return self._apis(filters, limit, after, uncalled=False)

    def _apis(self, filters: Filters, limit: int, after: Cursor | None, *, uncalled: bool) -> Listed[ApiRow]:
        where = Conditions()
        where.add("apis.number = ?", filters.api)
        where.add_fields(self._db, filters, APIS)
        order = ordering(API_KEYS, filters.sort)
        rows = self._db.execute(
            f"""SELECT * FROM (SELECT apis.*, coalesce(sum(operations.count), 0) AS stored,
            coalesce(sum(operations.uncertain), 0) AS uncertain,
            coalesce(sum(operations.count > 0), 0) AS operations, min(operations.first_seen) AS first_seen,
            coalesce(max(operations.last_seen), 0) AS last_seen
            FROM apis LEFT JOIN operations ON operations.api = apis.number
            WHERE apis.merged_into IS NULL AND {where} GROUP BY apis.number)
            WHERE (stored > 0 OR kind = '{ApiKind.DECLARED}' OR ?) AND {order.beginning}
            AND last_seen >= ? AND coalesce(first_seen, 0) < ? AND coalesce(first_seen, 0) >= ?
            {order} LIMIT ?""",
            (
                *where.values,
                uncalled,
                *order.start(after),
                filters.since or 0,
                filters.until or END,
                filters.new_since or 0,
                limit + SPARE,
            ),
        )
        return piece(
            self._readable.each(StoredPart.APIS, rows, self._api),
            limit,
            lambda one: (order.key.of(one), one.number),
        )

    def _api(self, row: sqlite3.Row) -> ApiRow:
        number: int = row["number"]
        return ApiRow(
            number=number,
            id=id_of(number),
            kind=ApiKind(row["kind"]),
            name=row["name"],
            internal=bool(row["internal"]),
            node=row["node"],
            process=row["process"],
            executable=row["executable"],
            port=row["port"],
            namespace=row["namespace"],
            workload=row["workload"],
            cluster=row["cluster"],
            exchanges=row["stored"] - row["uncertain"],
            uncertain=row["uncertain"],
            operations=row["operations"],
            verdicts=self._verdicts_of_api(number),
            first_seen=row["first_seen"],
            last_seen=row["last_seen"] or None,
            hosts=self._hosts(number),
            routes=self._routes(row),
            specs=self._titles(number),
            merged=self._merged(number),
        )

    def at_host(self, host: str) -> Sequence[int]:
        rows = self._db.execute(
            """SELECT api FROM hosts JOIN apis ON apis.number = hosts.api
            WHERE host = ? AND merged_into IS NULL ORDER BY api""",
            (host,),
        )
        return [api for (api,) in rows]

    def _hosts(self, api: int) -> Sequence[str]:
        rows = self._db.execute("SELECT host FROM hosts WHERE api = ? ORDER BY host", (api,))
        return [host for (host,) in rows]

    def _routes(self, row: sqlite3.Row) -> Sequence[ApiRoute]:
        rows = self._db.execute(
            """SELECT host, path, source FROM routes WHERE cluster = ? AND namespace = ? AND workload = ?
            ORDER BY host, path LIMIT ?""",
            (row["cluster"] or "", row["namespace"], row["workload"], MAX_ROUTES),
        )
        return [ApiRoute(*found) for found in rows]

    def _merged(self, api: int) -> Sequence[str]:
        rows = self._db.execute("SELECT number FROM apis WHERE merged_into = ? ORDER BY number", (api,))
        return [id_of(number) for (number,) in rows]

    def _titles(self, api: int) -> Sequence[SpecTitle]:
        rows = self._db.execute(
            "SELECT id, title, version FROM specs WHERE api = ? ORDER BY number DESC", (api,)
        )
        return [SpecTitle(id, title[:MAX_TITLE], version[:MAX_TITLE]) for id, title, version in rows]

    def _verdicts_of_api(self, api: int) -> Mapping[str, int]:
        rows = self._db.execute(
            """SELECT verdict, sum(verdicts.count) FROM verdicts
            JOIN operations ON operations.number = operation WHERE api = ? GROUP BY verdict""",
            (api,),
        )
        return dict(rows)

    def operations(
        self, filters: Filters, limit: int, after: Cursor | None, deprecated: bool | None = None
    ) -> Listed[OperationRow]:
        where = Conditions()
        where.add("operations.api = ?", filters.api)
        where.add("deprecated = ?", deprecated)
        where.add("last_seen >= ?", filters.since)
        where.add("first_seen < ?", filters.until)
        where.add("first_seen >= ?", filters.new_since)
        where.add_fields(self._db, filters, OPERATIONS)
        order = ordering(OPERATION_KEYS, filters.sort)
        rows = self._db.execute(
            f"SELECT * FROM operations WHERE count > 0 AND {order.beginning} AND {where} {order} LIMIT ?",
            (*order.start(after), *where.values, limit + SPARE),
        )
        found = self._readable.each(StoredPart.OPERATIONS, rows, self._operation)
        return piece(found, limit, lambda one: (order.key.of(one), one.number))

    def operation(self, api: int, id: str) -> OperationRow | None:
        row = self._db.execute(
            "SELECT * FROM operations WHERE number = ? AND api = ?", (number_in(id), api)
        ).fetchone()
        return self._readable.one(StoredPart.OPERATIONS, row, self._operation)

    def _operation(self, row: sqlite3.Row) -> OperationRow:
        number: int = row["number"]
        statuses, faults = self._answers(number)
        return OperationRow(
            number=number,
            id=id_of(number),
            api_id=id_of(row["api"]),
            api_name=self.name_of(row["api"]),
            key=row["key"],
            kind=OperationKind(row["kind"]),
            method=row["method"],
            template=row["template"],
            operation_id=row["operation_id"],
            deprecated=bool(row["deprecated"]),
            count=row["count"] - row["uncertain"],
            uncertain=row["uncertain"],
            first_seen=row["first_seen"],
            last_seen=row["last_seen"],
            statuses=statuses,
            latency=self._latency(number),
            verdicts=self._verdicts(number),
            faults=faults,
            consumers=self._consumers(number),
            sub_operations=self._sub_operations(number),
        )

    def _answers(self, operation: int) -> tuple[Mapping[int | None, int], Mapping[str, int]]:
        """The calls by status, and those with a fault by fault."""
        statuses, faults = Counter[int | None](), Counter[str]()
        for status, fault, count in self._db.execute(
            """SELECT status, fault, sum(count) FROM calls WHERE operation = ? GROUP BY status, fault
            ORDER BY status, fault""",
            (operation,),
        ):
            statuses[status_of(status)] += count
            if fault:
                faults[fault] += count
        return statuses, faults

    def _latency(self, operation: int) -> Mapping[int, int]:
        rows = self._db.execute(
            "SELECT bucket, sum(count) FROM latency WHERE operation = ? GROUP BY bucket", (operation,)
        )
        return dict(rows)

    def _verdicts(self, operation: int) -> Mapping[str, int]:
        rows = self._db.execute("SELECT verdict, count FROM verdicts WHERE operation = ?", (operation,))
        return dict(rows)

    def _sub_operations(self, operation: int) -> Sequence[SubOperationCount]:
        rows = self._db.execute(
            f"""SELECT protocol, kind, name, sum(count) AS count,
            sum(iif(outcome = {SubOutcome.FAILED}, count, 0)),
            sum(iif(outcome = {SubOutcome.UNKNOWN}, count, 0))
            FROM sub_operations WHERE operation = ? GROUP BY protocol, kind, name
            ORDER BY sum(count) DESC, protocol, kind, name LIMIT ?""",
            (operation, MAX_SUB_OPERATIONS),
        )
        return [SubOperationCount(*row) for row in rows]

    def _consumers(self, operation: int) -> Sequence[OperationConsumer]:
        rows = self._db.execute(
            """SELECT kind, name, sum(count) AS count, min(hour), max(hour) FROM calls
            JOIN consumers ON consumers.number = consumer WHERE operation = ?
            GROUP BY consumer ORDER BY count DESC, name LIMIT ?""",
            (operation, MAX_CONSUMERS),
        )
        return [
            OperationConsumer(kind, name, count, first * HOUR_NS, last * HOUR_NS)
            for kind, name, count, first, last in rows
        ]

    def called(self, api: int) -> Collection[str]:
        rows = self._db.execute("SELECT key FROM operations WHERE api = ? AND count > 0", (api,))
        return {key for (key,) in rows}

    def totals(self) -> Totals:
        apis, stored, uncertain = self._db.execute(
            """SELECT count(DISTINCT api), coalesce(sum(count), 0), coalesce(sum(uncertain), 0)
            FROM operations WHERE count > 0"""
        ).fetchone()
        return Totals(apis, stored - uncertain, uncertain)

    def merged_into(self, apis: Collection[int]) -> Mapping[int, int]:
        rows = self._db.execute("SELECT number, merged_into FROM apis WHERE merged_into IS NOT NULL")
        return {number: into for number, into in rows if number in apis}

    def unused_consumers(self) -> Sequence[int]:
        return [number for (number,) in self._db.execute(UNUSED)]
