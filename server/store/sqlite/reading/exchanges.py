"""Stored exchanges with their views."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from agent.wire import Record
from server.store.filters import FieldFilter, FilterField, Filters
from server.store.keys import id_of
from server.store.parts import StoredPart
from server.store.rows import (
    Cursor,
    ExchangeRow,
    FacetCount,
    FacetField,
    Facets,
    Learnable,
    Listed,
    MinuteCounts,
    OperationKind,
    PeriodCount,
)
from server.store.sqlite.reading.conditions import Conditions, class_of, status_of
from server.store.sqlite.reading.field_tests import EXCHANGES
from server.store.sqlite.reading.ordering import Ordering, SortKey, SortKeys, ordering
from server.store.sqlite.reading.readable import SPARE, Readable, deviations

MINUTE_NS = 60_000_000_000
PAGE_BYTES = 8 * 1024 * 1024  # a page ends early if its records would exceed this
KEYS: SortKeys[ExchangeRow] = {"time": SortKey("time", lambda one: one.time)}
IDS_AT_ONCE = 500
MAX_SEARCHED = 20_000  # exchanges of one page, where no index helps
INDEXED = (FilterField.API, FilterField.OPERATION, FilterField.VERDICT)
MAX_FACET_VALUES = 20  # of each field
FACETS = {
    FacetField.API: "(SELECT name FROM apis WHERE apis.number = exchanges.api)",
    FacetField.CONSUMER: "consumers.name",
    FacetField.FAULT: "exchanges.fault",
    FacetField.METHOD: "exchanges.method",
    FacetField.OPERATION: "operations.key",
    FacetField.STATUS: "iif(exchanges.status = 0, NULL, CAST(exchanges.status AS TEXT))",
    FacetField.VERDICT: "exchanges.verdict",
}
SHOWN = (OperationKind.PROVISIONAL, OperationKind.SPECIFIED)
EXCHANGE = """SELECT exchanges.*, operations.key AS operation_key,
    operations.kind AS operation_kind, consumers.kind AS consumer_kind, consumers.name AS consumer_name
    FROM exchanges JOIN operations ON operations.number = exchanges.operation
    JOIN consumers ON consumers.number = exchanges.consumer"""


class SqliteExchanges:
    def __init__(self, db: sqlite3.Connection, readable: Readable) -> None:
        self._db = db
        self._readable = readable

    def listed(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[ExchangeRow]:
        where, order = self._where(filters), ordering(KEYS, filters.sort, "exchanges.number")
        end = self._end(filters, order, order.start(after))
        if end is not None:
            where.add(order.end, *end)
        rows = self._db.execute(
            f"{EXCHANGE} WHERE {order.beginning} AND {where} {order} LIMIT ?",
            (*order.start(after), *where.values, limit + SPARE),
        )
        page: list[ExchangeRow] = []
        size = 0
        for row in rows:
            raws = self._raws(row)
            size += sum(map(len, raws))
            if page and (size > PAGE_BYTES or len(page) == limit):
                return Listed(page, (page[-1].time, page[-1].number))
            one = self._readable.one(StoredPart.EXCHANGES, row, partial(self._row, raws=raws))
            if one is not None:
                page.append(one)
        return Listed(page, end)

    def _end(self, filters: Filters, order: Ordering[ExchangeRow], start: Cursor) -> Cursor | None:
        """Where a search that no index helps ends for now; None if it comes to its end before."""
        if filters.api is not None or not filters.fields or any(map(_is_indexed, filters.fields)):
            return None
        row = self._db.execute(
            f"SELECT time, number FROM exchanges WHERE {order.beginning} {order} LIMIT 1 OFFSET ?",
            (*start, MAX_SEARCHED - 1),
        ).fetchone()
        return None if row is None else (row["time"], row["number"])

    def facets(self, filters: Filters, fields: Sequence[FacetField], most: int) -> Facets:
        where = self._where(filters)
        columns = ", ".join(["1", *(FACETS[field] for field in fields)])
        rows = self._db.execute(
            f"""SELECT {columns} FROM exchanges JOIN operations ON operations.number = exchanges.operation
            JOIN consumers ON consumers.number = exchanges.consumer WHERE {where}
            ORDER BY time DESC, exchanges.number DESC LIMIT ?""",
            (*where.values, most + 1),
        )
        counts: list[Counter[str | None]] = [Counter() for _ in fields]
        total = 0
        for _, *values in islice(rows, most):
            total += 1
            for counter, value in zip(counts, values, strict=True):
                counter[value] += 1
        found = {field: _facet(counter) for field, counter in zip(fields, counts, strict=True)}
        return Facets(total, next(rows, None) is not None, found)

    def by_minute(self, since: int, most: int) -> MinuteCounts:
        rows = self._db.execute(
            f"""SELECT time / {MINUTE_NS}, status / 100, verdict, fault, count(*), min(time),
            sum(count(*)) OVER () FROM (SELECT time, status, verdict, fault FROM exchanges WHERE time >= ?
                ORDER BY time DESC, number DESC LIMIT ?) GROUP BY 1, 2, 3, 4""",
            (since, most),
        ).fetchall()
        counts = [PeriodCount(row[0], class_of(row[1]), *row[2:5]) for row in rows]
        is_all = not rows or rows[0][-1] < most
        return MinuteCounts(counts, None if is_all else min(row[5] for row in rows))

    def one(self, id: str) -> ExchangeRow | None:
        row = self._db.execute(
            f"{EXCHANGE} WHERE exchanges.number = (SELECT exchange FROM witnesses WHERE id = ?)", (id,)
        ).fetchone()
        return self._readable.one(StoredPart.EXCHANGES, row, lambda row: self._row(row, self._raws(row)))

    def _where(self, filters: Filters) -> Conditions:
        where = Conditions()
        where.add("exchanges.api = ?", filters.api)
        where.add_fields(self._db, filters, EXCHANGES)
        where.add("time >= ?", filters.since)
        where.add("time >= ?", filters.new_since)
        where.add("time < ?", filters.until)
        return where

    def _raws(self, row: sqlite3.Row) -> Sequence[bytes]:
        found = self._db.execute(
            "SELECT record FROM witnesses WHERE number IN (?, ?) ORDER BY number",
            (row["number"], row["second"]),
        )
        return [record for (record,) in found]

    def _row(self, row: sqlite3.Row, raws: Sequence[bytes]) -> ExchangeRow:
        """Raises ValueError if no view can be read."""
        views = self._readable.records(raws)
        if not views:
            raise ValueError("no view")
        return ExchangeRow(
            number=row["number"],
            time=row["time"],
            api=row["api"],
            api_id=id_of(row["api"]),
            operation=row["operation_key"] if row["operation_kind"] in SHOWN else None,
            consumer_kind=row["consumer_kind"],
            consumer_name=row["consumer_name"],
            verdict=row["verdict"],
            why=row["why"],
            fault=row["fault"],
            deprecated=bool(row["deprecated"]),
            duration=row["duration"],
            uncertain=bool(row["uncertain"]),
            deviations=deviations(row["deviations"]),
            views=views,
        )

    def samples(self, api: int, limit: int) -> Iterator[Sequence[Record]]:
        rows = self._db.execute(
            """SELECT first.record, other.record FROM exchanges
            JOIN witnesses first ON first.number = exchanges.number
            LEFT JOIN witnesses other ON other.number = exchanges.second
            WHERE exchanges.api = ? ORDER BY exchanges.time DESC LIMIT ?""",
            (api, limit),
        )
        yield from filter(None, map(self._readable.records, rows))

    def after(self, number: int, limit: int) -> Sequence[Learnable]:
        rows = self._db.execute(
            """SELECT number, api, operation, status FROM exchanges WHERE number > ?
            AND number < (SELECT coalesce(min(number), 1 << 62) FROM held) ORDER BY number LIMIT ?""",
            (number, limit),
        )
        return [Learnable(number, api, operation, status_of(code)) for number, api, operation, code in rows]

    def views(self, numbers: Collection[int]) -> Mapping[int, Sequence[Record]]:
        found: dict[int, list[bytes]] = {}
        wanted = [*numbers]
        for start in range(0, len(wanted), IDS_AT_ONCE):
            some = wanted[start : start + IDS_AT_ONCE]
            marks = ", ".join("?" * len(some))
            rows = self._db.execute(
                f"""SELECT exchanges.number, witnesses.record FROM exchanges JOIN witnesses
                ON witnesses.number IN (exchanges.number, exchanges.second)
                WHERE exchanges.number IN ({marks}) ORDER BY exchanges.number, witnesses.number""",
                some,
            )
            for number, record in rows:
                found.setdefault(number, []).append(record)
        return {number: self._readable.records(raws) for number, raws in found.items()}


def _is_indexed(one: FieldFilter) -> bool:
    return one.field in INDEXED and not one.negated


def _facet(counts: Counter[str | None]) -> Sequence[FacetCount]:
    """The most frequent values, then in order of the value."""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0] or ""))
    return [FacetCount(value, count) for value, count in ordered[:MAX_FACET_VALUES]]
