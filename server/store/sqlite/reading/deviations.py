"""Deviations with their counts, and the decisions on them."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from server.analysis.specs.deviation import DeviationIdentity
from server.store.filters import DeviationsShown, Filters
from server.store.keys import id_of
from server.store.parts import StoredPart
from server.store.rows import (
    ConsumerCount,
    Cursor,
    DeviationRow,
    DeviationState,
    KnownDeviation,
    Listed,
    Proposal,
)
from server.store.sqlite.reading.conditions import Conditions
from server.store.sqlite.reading.field_tests import DEVIATIONS
from server.store.sqlite.reading.ids import deviation_number
from server.store.sqlite.reading.ordering import SortKey, SortKeys, ordering
from server.store.sqlite.reading.readable import SPARE, Readable, json_objects, piece

KEYS: SortKeys[DeviationRow] = {
    "last_seen": SortKey("deviations.last_seen", lambda one: one.last_seen),
    "first_seen": SortKey("deviations.first_seen", lambda one: one.first_seen),
    "count": SortKey("count", lambda one: one.count),
}
MAX_CONSUMERS = 50  # busiest consumers returned per deviation
SAME = """deviation_decisions.api = deviations.api AND deviation_decisions.operation = deviations.operation
    AND deviation_decisions.kind = deviations.kind AND deviation_decisions."where" = deviations."where"
    AND deviation_decisions.pointer = deviations.pointer"""


class SqliteDeviations:
    def __init__(self, db: sqlite3.Connection, readable: Readable) -> None:
        self._db = db
        self._readable = readable

    def listed(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[DeviationRow]:
        where = _where(self._db, filters)
        order = ordering(KEYS, filters.sort, "deviations.number")
        rows = self._db.execute(
            f"""SELECT deviations.*, coalesce(state, ?) AS state, reason,
            deviation_decisions."by" AS decided_by, deviation_decisions.time AS decided,
            (SELECT sum(count) FROM deviation_calls WHERE deviation = deviations.number) AS count,
            EXISTS (SELECT 1 FROM witnesses WHERE witnesses.id = sample) AS sampled
            FROM deviations JOIN apis ON apis.number = deviations.api
            LEFT JOIN deviation_decisions ON {SAME}
            WHERE {order.beginning} AND {where} AND count > 0 {order} LIMIT ?""",
            (DeviationState.OPEN, *order.start(after), *where.values, limit + SPARE),
        )
        found = self._readable.each(StoredPart.DEVIATIONS, rows, self._row)
        return piece(found, limit, lambda one: (order.key.of(one), one.number))

    def _row(self, row: sqlite3.Row) -> DeviationRow:
        return DeviationRow(
            number=row["number"],
            id=id_of(row["number"]),
            api=row["api"],
            api_id=id_of(row["api"]),
            identity=_identity(row),
            message=row["message"],
            first_seen=row["first_seen"],
            last_seen=row["last_seen"],
            sample=row["sample"] if row["sampled"] else None,
            state=DeviationState(row["state"]),
            reason=row["reason"],
            decided_by=row["decided_by"],
            decided=row["decided"],
            count=row["count"],
            consumers=self._consumers(row["number"]),
        )

    def _consumers(self, deviation: int) -> Sequence[ConsumerCount]:
        rows = self._db.execute(
            """SELECT kind, name, count FROM deviation_calls JOIN consumers ON consumers.number = consumer
            WHERE deviation = ? ORDER BY count DESC, name LIMIT ?""",
            (deviation, MAX_CONSUMERS),
        )
        return [ConsumerCount(*row) for row in rows]

    def number_of(self, id: str) -> int | None:
        return deviation_number(self._db, id)

    def known(self, number: int) -> KnownDeviation | None:
        row = self._db.execute("SELECT * FROM deviations WHERE number = ?", (number,)).fetchone()
        return None if row is None else KnownDeviation(row["api"], _identity(row), row["sample"])

    def ids(self, api: int, identities: Collection[DeviationIdentity]) -> Sequence[str | None]:
        query = """SELECT number FROM deviations
            WHERE (api, operation, kind, "where", pointer) = (?, ?, ?, ?, ?)"""
        rows = [self._db.execute(query, (api, *identity)).fetchone() for identity in identities]
        return [None if row is None else id_of(row[0]) for row in rows]

    def proposals(self, api: int, spec: str | None = None) -> Sequence[Proposal]:
        rows = self._db.execute(
            """SELECT * FROM deviation_decisions WHERE api = ? AND state = ? AND coalesce(?, spec) = spec
            AND EXISTS (SELECT 1 FROM specs WHERE specs.id = spec)
            ORDER BY time, operation, kind, "where", pointer""",
            (api, DeviationState.ACCEPTED, spec),
        )
        return [*self._readable.each(StoredPart.PROPOSALS, rows, _proposal)]


def _proposal(row: sqlite3.Row) -> Proposal:
    patch = json_objects(row["patch"])
    return Proposal(_identity(row), row["spec"], patch, row["reason"], row["by"], row["time"])


def _identity(row: sqlite3.Row) -> DeviationIdentity:
    return DeviationIdentity(row["operation"], row["kind"], row["where"], row["pointer"])


def _where(db: sqlite3.Connection, filters: Filters) -> Conditions:
    where = Conditions()
    where.add("deviations.number = ?", filters.deviation)
    where.add("deviations.api = ?", filters.api)
    where.add("deviations.last_seen >= ?", filters.since)
    where.add("deviations.first_seen < ?", filters.until)
    where.add("deviations.first_seen >= ?", filters.new_since)
    where.add_fields(db, filters, DEVIATIONS)
    if filters.state is DeviationsShown.OPEN_OR_ACCEPTED:
        where.add("coalesce(state, ?) <> ?", DeviationState.OPEN, DeviationState.IGNORED)
    elif filters.state is not DeviationsShown.ALL:
        where.add("coalesce(state, ?) = ?", DeviationState.OPEN, filters.state)
    return where
