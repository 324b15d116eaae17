"""Coverage of an API's specifications."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from server.analysis.coverage.names import UNDESCRIBED
from server.store.rows import OperationKind, PartCount, UndescribedCount

COUNTED = """SELECT method, template, substr(part, length(:part) + 1), sum(part_counts.count) FROM operations
    JOIN part_counts ON part_counts.operation = operations.number
    WHERE api = :api AND kind <> :unseen AND consumer = 0 AND substr(part, 1, length(:part)) = :part
    GROUP BY 1, 2, 3"""
CALLED = """SELECT method, template, iif(status, (status / 100) || 'xx', 'none'), sum(calls.count)
    FROM operations JOIN calls ON calls.operation = operations.number
    WHERE api = :api AND kind <> :unseen GROUP BY 1, 2, 3"""


class SqliteCoverage:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def counts(self, api: int, by: str, operation: str | None = None) -> Iterator[PartCount]:
        rows = self._db.execute(
            """SELECT operations.key, consumers.name, part_counts.part, part_counts.count FROM operations
            JOIN coverage ON coverage.operation = operations.number
            LEFT JOIN consumers ON consumers.number = coverage.consumer
            JOIN part_counts ON part_counts.operation = coverage.operation
            AND part_counts.consumer = coverage.consumer
            WHERE operations.api = ?1 AND (coverage.consumer = 0 OR consumers.kind = ?2)
            AND substr(part_counts.part, 1, length(?3)) <> ?3
            AND operations.key = coalesce(?4, operations.key)""",
            (api, by, UNDESCRIBED, operation),
        )
        return (PartCount(*row) for row in rows)

    def undescribed(self, api: int) -> Iterator[UndescribedCount]:
        described = self._db.execute("SELECT 1 FROM specs WHERE api = ?", (api,)).fetchone()
        values = {"api": api, "unseen": OperationKind.UNSEEN, "part": UNDESCRIBED}
        rows = self._db.execute(COUNTED if described else CALLED, values)
        return (UndescribedCount(*row) for row in rows)
