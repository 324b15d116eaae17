"""Coverage of an API's specifications."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from server.store.rows import PartCount, UndescribedCount
from server.store.sqlite.reading.conditions import status_of


class SqliteCoverage:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def counts(self, api: int, by: str) -> Iterator[PartCount]:
        rows = self._db.execute(
            """SELECT operations.key, consumers.name, part_counts.part, part_counts.count FROM operations
            JOIN coverage ON coverage.operation = operations.number
            LEFT JOIN consumers ON consumers.number = coverage.consumer
            JOIN part_counts ON part_counts.operation = coverage.operation
            AND part_counts.consumer = coverage.consumer
            WHERE operations.api = ? AND (coverage.consumer = 0 OR consumers.kind = ?)""",
            (api, by),
        )
        return (PartCount(*row) for row in rows)

    def undescribed(self, api: int) -> Iterator[UndescribedCount]:
        rows = self._db.execute(
            """SELECT operations.method, operations.template, calls.status, sum(calls.count) FROM operations
            JOIN calls ON calls.operation = operations.number
            WHERE operations.api = ? AND operations.kind NOT IN ('specified', 'unseen')
            GROUP BY 1, 2, 3""",
            (api,),
        )
        return (UndescribedCount(method, path, status_of(code), count) for method, path, code, count in rows)
