"""What of its specification each operation was exercised in, by consumer: counters that outlive samples.

They count what was stored when the API's specifications last changed, and everything since.
"""

from __future__ import annotations

import sqlite3
from collections import Counter

from server.store.values import Covered

EVERYONE = 0
MAX_CONSUMERS = 500  # of all kinds, of one operation; the rest counts for everyone only

Parts = tuple[str, ...]
Consumers = tuple[int, ...]


class SqliteCoverageTally:
    """Parts are summed in memory and written at once; which consumers an operation has is mirrored."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._sums: Counter[tuple[int, Consumers, Parts]] = Counter()
        self._consumers: dict[int, set[int]] = {}
        rows = self._db.execute("SELECT DISTINCT operation, consumer FROM coverage WHERE consumer <> 0")
        for operation, consumer in rows:
            self._consumers.setdefault(operation, set()).add(consumer)

    def add(self, one: Covered, sign: int = 1) -> None:
        self._sums[one.operation, self._bounded(one.operation, one.consumers), one.parts] += sign

    def _bounded(self, operation: int, consumers: Consumers) -> Consumers:
        known = self._consumers.setdefault(operation, set())
        if not known.issuperset(consumers):
            known.update([one for one in consumers if one not in known][: MAX_CONSUMERS - len(known)])
            consumers = tuple(one for one in consumers if one in known)
        return consumers

    def flush(self) -> None:
        rows: Counter[tuple[int, int, str]] = Counter()
        for (operation, consumers, parts), count in self._sums.items():
            for consumer in (EVERYONE, *consumers) if count else ():
                for part in parts:
                    rows[operation, consumer, part] += count
        self._sums.clear()
        many = self._db.executemany
        many(
            """INSERT INTO coverage (operation, consumer, part, count) VALUES (?, ?, ?, ?)
            ON CONFLICT (operation, consumer, part) DO UPDATE SET count = coverage.count + excluded.count""",
            [(*at, count) for at, count in rows.items() if count],
        )
        many(
            "DELETE FROM coverage WHERE operation = ? AND consumer = ? AND part = ? AND count <= 0",
            [at for at, count in rows.items() if count < 0],
        )

    def reset(self, api: int) -> None:
        self._db.execute(
            "DELETE FROM coverage WHERE operation IN (SELECT number FROM operations WHERE api = ?)", (api,)
        )
        self.forget()
