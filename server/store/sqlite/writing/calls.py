"""Counts of calls by hour, of latency by day, and of verdicts. All include uncertain exchanges, which
an operation also counts apart.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping

from server.store.sqlite.writing.operations import KEYS
from server.store.values import Contribution


class SqliteCallTally:
    """Sums contributions in memory; `flush` writes them at once."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._calls: Counter[tuple[int | str, ...]] = Counter()
        self._latency: Counter[tuple[int | str, ...]] = Counter()
        self._verdicts: Counter[tuple[int | str, ...]] = Counter()
        self._totals: Counter[int] = Counter()
        self._uncertain: Counter[int] = Counter()
        self._seen: dict[int, tuple[int, int]] = {}

    def add(self, one: Contribution, sign: int = 1) -> None:
        self._calls[one.operation, one.hour, one.consumer, one.status or 0] += sign
        self._totals[one.operation] += sign
        if one.uncertain:
            self._uncertain[one.operation] += sign
        if one.bucket is not None:
            self._latency[one.operation, one.hour // 24, one.bucket] += sign
        if one.verdict is not None:
            self._verdicts[one.operation, one.verdict] += sign
        if sign > 0:
            first, last = self._seen.get(one.operation, (one.time, one.time))
            self._seen[one.operation] = (min(first, one.time), max(last, one.time, one.last))

    def flush(self) -> None:
        self._write("calls", self._calls)
        self._write("latency", self._latency)
        self._write("verdicts", self._verdicts)
        self._db.executemany(
            """UPDATE operations SET count = count + ?1, first_seen = min(coalesce(first_seen, ?2), ?2),
            last_seen = max(coalesce(last_seen, ?3), ?3) WHERE number = ?4""",
            [(self._totals[op], first, last, op) for op, (first, last) in self._seen.items()],
        )
        self._db.executemany(
            "UPDATE operations SET count = count + ? WHERE number = ?",
            [(count, op) for op, count in self._totals.items() if count and op not in self._seen],
        )
        self._db.executemany(
            "UPDATE operations SET uncertain = uncertain + ? WHERE number = ?",
            [(count, op) for op, count in self._uncertain.items() if count],
        )
        self.forget()

    def _write(self, table: str, counts: Mapping[tuple[int | str, ...], int]) -> None:
        key = f"operation, {KEYS[table]}"
        changed = [(*at, count) for at, count in counts.items() if count]
        if not changed:
            return
        marks = ", ".join("?" * len(changed[0]))
        self._db.executemany(
            f"INSERT INTO {table} ({key}, count) VALUES ({marks}) "
            f"ON CONFLICT ({key}) DO UPDATE SET count = {table}.count + excluded.count",
            changed,
        )
        lowered = [at for at, count in counts.items() if count < 0]
        where = " AND ".join(f"{name} = ?" for name in key.split(", "))
        self._db.executemany(f"DELETE FROM {table} WHERE {where} AND count <= 0", lowered)
