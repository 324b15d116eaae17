"""Who calls, and how often."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from server.store.filters import FieldFilter, FilterField, Filters
from server.store.keys import id_of, number_in
from server.store.parts import StoredPart
from server.store.rows import ConsumerOperationRow, ConsumerRow, Cursor, Listed, PeriodCount
from server.store.sqlite.reading.conditions import Conditions, class_of, status_of
from server.store.sqlite.reading.field_tests import CONSUMERS
from server.store.sqlite.reading.ordering import SortKey, SortKeys, ordering
from server.store.sqlite.reading.readable import NEWEST, SPARE, Readable, piece
from server.store.values import HOUR_NS

CALLS = """calls JOIN operations ON operations.number = calls.operation
    JOIN consumers ON consumers.number = calls.consumer"""
CALLS_OF_OPERATIONS = """operations CROSS JOIN calls ON calls.operation = operations.number
    JOIN consumers ON consumers.number = calls.consumer"""
"""The same, read by operation and hour: not the calls of all time."""
KEYS: SortKeys[ConsumerRow] = {
    "calls": SortKey("calls", lambda one: one.calls),
    "deprecated_calls": SortKey("deprecated_calls", lambda one: one.deprecated_calls),
    "operations": SortKey("operations", lambda one: one.operations),
    "last_seen": SortKey("last", lambda one: one.last_seen // HOUR_NS),
    "first_seen": SortKey("first", lambda one: one.first_seen // HOUR_NS),
}


class SqliteConsumersReader:
    def __init__(self, db: sqlite3.Connection, readable: Readable) -> None:
        self._db = db
        self._readable = readable

    def listed(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[ConsumerRow]:
        where, order = self._where(filters), ordering(KEYS, filters.sort)
        rows = self._db.execute(
            f"""SELECT * FROM (SELECT consumers.number, consumers.kind, consumers.name,
            sum(calls.count) AS calls, sum(iif(operations.deprecated, calls.count, 0)) AS deprecated_calls,
            count(DISTINCT calls.operation) AS operations, count(DISTINCT operations.api) AS apis,
            min(hour) AS first, max(hour) AS last FROM {CALLS} WHERE {where} GROUP BY calls.consumer)
            WHERE {order.beginning} {order} LIMIT ?""",
            (*where.values, *order.start(after), limit + SPARE),
        )
        found = self._readable.each(StoredPart.CONSUMERS, rows, _consumer)
        return piece(found, limit, lambda one: (order.key.of(one), one.number))

    def one(self, id: str) -> ConsumerRow | None:
        number = number_in(id)
        if number is None:
            return None
        rows = self.listed(Filters((FieldFilter(FilterField.CONSUMER, (number,)),)), 1, None).rows
        return rows[0] if rows else None

    def operations(
        self, consumer: int, limit: int, after: Cursor | None, filters: Filters
    ) -> Listed[ConsumerOperationRow]:
        where = self._where(filters)
        rows = self._db.execute(
            f"""SELECT * FROM (SELECT operations.number, operations.key, operations.api, apis.name,
            operations.deprecated, sum(calls.count) AS calls, min(hour) AS first, max(hour) AS last
            FROM {CALLS} JOIN apis ON apis.number = operations.api
            WHERE calls.consumer = ? AND {where} GROUP BY calls.operation)
            WHERE (calls, number) < (?, ?) ORDER BY calls DESC, number DESC LIMIT ?""",
            (consumer, *where.values, *(after or NEWEST), limit + SPARE),
        )
        found = self._readable.each(
            StoredPart.OPERATIONS, rows, lambda row: _operation(row, self._statuses(row["number"], consumer))
        )
        return piece(found, limit, lambda one: (one.calls, one.number))

    def _statuses(self, operation: int, consumer: int) -> Mapping[int | None, int]:
        rows = self._db.execute(
            """SELECT status, sum(count) FROM calls WHERE operation = ? AND consumer = ?
            GROUP BY status ORDER BY status""",
            (operation, consumer),
        )
        return {status_of(status): count for status, count in rows}

    def calls_by_hour(self, filters: Filters) -> Sequence[PeriodCount]:
        where = self._where(filters)
        rows = self._db.execute(
            f"""SELECT hour, status / 100, verdict, fault, sum(calls.count)
            FROM {CALLS_OF_OPERATIONS} WHERE {where} GROUP BY 1, 2, 3, 4""",
            where.values,
        )
        return [
            PeriodCount(hour, class_of(hundreds), verdict or None, fault or None, count)
            for hour, hundreds, verdict, fault, count in rows
        ]

    def _where(self, filters: Filters) -> Conditions:
        """Counts are by hour: those of the hours in which the times lie are included."""
        where = Conditions()
        where.add("operations.api = ?", filters.api)
        where.add(f"hour >= ? / {HOUR_NS}", filters.since)
        where.add(f"hour * {HOUR_NS} < ?", filters.until)
        where.add_fields(self._db, filters, CONSUMERS)
        return where


def _consumer(row: sqlite3.Row) -> ConsumerRow:
    return ConsumerRow(
        number=row["number"],
        id=id_of(row["number"]),
        kind=row["kind"],
        name=row["name"],
        calls=row["calls"],
        deprecated_calls=row["deprecated_calls"],
        operations=row["operations"],
        apis=row["apis"],
        first_seen=row["first"] * HOUR_NS,
        last_seen=row["last"] * HOUR_NS,
    )


def _operation(row: sqlite3.Row, statuses: Mapping[int | None, int]) -> ConsumerOperationRow:
    return ConsumerOperationRow(
        number=row["number"],
        id=id_of(row["number"]),
        api_id=id_of(row["api"]),
        api_name=row["name"],
        key=row["key"],
        deprecated=bool(row["deprecated"]),
        calls=row["calls"],
        statuses=statuses,
        first_seen=row["first"] * HOUR_NS,
        last_seen=row["last"] * HOUR_NS,
    )
