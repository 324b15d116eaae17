"""Counts of calls by hour, of latency by day, of verdicts and of sub-operations. All include uncertain
exchanges, which an operation also counts apart.

`calls` has each call once, with its verdict and fault under its API's current specifications, or '' for none.
The sums of its verdicts are also in `verdicts`.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping

from agent.wire import SubOperation
from server.store.rows import SubOutcome
from server.store.sqlite.writing.operations import KEYS
from server.store.values import HOUR_NS, MAX_NAMES, MAX_OTHERS, OTHER_NAMES, Contribution

SubKey = tuple[str, str, str]


class SqliteCallTally:
    """Sums contributions in memory; `flush` writes them at once."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._calls: Counter[tuple[int | str, ...]] = Counter()
        self._latency: Counter[tuple[int | str, ...]] = Counter()
        self._verdicts: Counter[tuple[int | str, ...]] = Counter()
        self._sub_operations: dict[int, Counter[tuple[SubKey, int]]] = {}
        self._totals: Counter[int] = Counter()
        self._uncertain: Counter[int] = Counter()
        self._seen: dict[int, tuple[int, int]] = {}

    def add(self, one: Contribution, sign: int = 1) -> None:
        judged = (one.verdict or "", one.fault or "")
        self._calls[one.operation, one.hour, one.consumer, one.status or 0, *judged] += sign
        self._totals[one.operation] += sign
        if one.uncertain:
            self._uncertain[one.operation] += sign
        if one.bucket is not None:
            self._latency[one.operation, one.hour // 24, one.bucket] += sign
        if one.verdict is not None:
            self._verdicts[one.operation, one.verdict] += sign
        for sub in one.sub_operations:
            counts = self._sub_operations.setdefault(one.operation, Counter())
            counts[(sub.protocol, sub.kind, sub.name), _outcome(sub)] += sign
        if sign > 0:
            first, last = self._seen.get(one.operation, (one.time, one.time))
            self._seen[one.operation] = (min(first, one.time), max(last, one.time, one.last))

    def flush(self) -> None:
        self._write("calls", self._calls)
        self._write("latency", self._latency)
        self._write("verdicts", self._verdicts)
        for operation, subs in self._sub_operations.items():
            self._write("sub_operations", self._named(operation, subs))
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

    def reset_verdicts(self, api: int) -> None:
        of_api = "operation IN (SELECT number FROM operations WHERE api = ?)"
        self._db.execute(f"DELETE FROM verdicts WHERE {of_api}", (api,))
        self._db.execute(
            f"""INSERT INTO calls SELECT operation, hour, consumer, status, '', '', sum(count) FROM calls
            WHERE verdict <> '' AND {of_api} GROUP BY operation, hour, consumer, status
            ON CONFLICT DO UPDATE SET count = calls.count + excluded.count""",
            (api,),
        )
        self._db.execute(f"DELETE FROM calls WHERE verdict <> '' AND {of_api}", (api,))

    def judge(self, operation: int, verdict: str, fault: str | None, count: int) -> None:
        self._verdicts[operation, verdict] += count
        left = self._db.execute(
            f"""SELECT hour, calls.consumer, calls.status, count - coalesce(stored, 0) AS left FROM calls
            LEFT JOIN (SELECT time / {HOUR_NS} AS at, consumer, status, count(*) AS stored FROM exchanges
                WHERE operation = ?1 AND verdict IS NULL GROUP BY 1, 2, 3) AS waiting
            ON at = hour AND waiting.consumer = calls.consumer AND waiting.status = calls.status
            WHERE operation = ?1 AND verdict = '' AND left > 0""",
            (operation,),
        )
        for hour, consumer, status, number in left:
            at = (operation, hour, consumer, status)
            self._calls[*at, "", ""] -= number
            self._calls[*at, verdict, fault or ""] += number

    def _named(
        self, operation: int, counts: Mapping[tuple[SubKey, int], int]
    ) -> Counter[tuple[int | str, ...]]:
        """The counts by the keys they are stored under: names beyond the bound are one."""
        rows = self._db.execute(
            "SELECT DISTINCT protocol, kind, name FROM sub_operations WHERE operation = ?", (operation,)
        )
        known = {tuple(row) for row in rows}
        found: Counter[tuple[int | str, ...]] = Counter()
        for (key, outcome), count in counts.items():
            if key not in known and len(known) >= MAX_NAMES:
                key = (*key[:2], OTHER_NAMES)
                if key not in known and len(known) >= MAX_NAMES + MAX_OTHERS:
                    key = (OTHER_NAMES, OTHER_NAMES, OTHER_NAMES)
            known.add(key)
            found[operation, *key, outcome] += count
        return found

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


def _outcome(sub: SubOperation) -> SubOutcome:
    if sub.failed is None:
        return SubOutcome.UNKNOWN
    return SubOutcome.FAILED if sub.failed else SubOutcome.SUCCEEDED
