"""Operations, callers, and what is counted of them: calls by hour, latency by day, verdicts.

An exchange adds one contribution. When more is learnt of it (its other witness, its specification) the
old contribution is taken back and the new one added, so totals always equal the exchanges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlite_utils import Database

from server.analysis.inventory import ConsumerKind
from server.store.rows import OperationKind
from server.store.sqlite.reading.inventory import UNUSED

MAX_PROVISIONAL = 500  # templates per API; calls beyond them count under one operation
MAX_CONSUMERS = 2000  # of each kind; the rest counts as one
MAX_KEY = 600  # characters

KEYS = {
    "calls": "hour, consumer, status",
    "latency": "day, bucket",
    "verdicts": "verdict",
    "coverage": "consumer, part",
}
"""What each table of counts is keyed by, besides the operation."""

OVERFLOW_KEY, UNSEEN_KEY = "(other)", "(request not seen)"


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one exchange adds to the counters. `status` is 0 where there was no response."""

    operation: int
    consumer: int
    status: int
    time: int
    hour: int
    bucket: int | None
    verdict: str | None


class Operations:
    """The writer's view: an operation's number by API and key, created at first sight."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._numbers: dict[tuple[int, str], int] = {}
        self._keys: dict[int, str] = {}
        self._kinds: dict[int, str] = {}
        self._provisional: Counter[int] = Counter()
        for number, api, key, kind in self._db.conn.execute("SELECT number, api, key, kind FROM operations"):
            self._numbers[api, key] = number
            self._keys[number] = key
            self._kinds[number] = kind
            self._provisional[api] += kind == OperationKind.PROVISIONAL

    def key(self, number: int) -> str:
        """Such as "GET /users/{id}"."""
        return self._keys[number]

    def provisional(self, api: int, method: str, template: str, found: bool = True) -> int:
        """The operation a template stands for; beyond the bound, the API's overflow.

        Half of the room is for what the server says it has (`found`): who guesses at paths must not
        displace what is really there.
        """
        key = f"{method} {template}"[:MAX_KEY]
        number = self._numbers.get((api, key))
        if number is not None:
            return number
        if self._provisional[api] >= (MAX_PROVISIONAL if found else MAX_PROVISIONAL // 2):
            return self._find(api, OVERFLOW_KEY, OperationKind.OVERFLOW, "", "")
        self._provisional[api] += 1
        return self._find(api, key, OperationKind.PROVISIONAL, method, template)

    def specified(self, api: int, key: str, deprecated: bool, operation_id: str | None) -> int:
        """The operation that a specification names; a provisional one of the same key becomes it."""
        number = self._numbers.get((api, key))
        if number is not None and self._kinds[number] == OperationKind.SPECIFIED:
            return number
        method, _, template = key.partition(" ")
        number = self._find(api, key, OperationKind.SPECIFIED, method, template)
        self._db.conn.execute(
            "UPDATE operations SET kind = ?, deprecated = ?, operation_id = ? WHERE number = ?",
            (OperationKind.SPECIFIED, deprecated, operation_id, number),
        )
        if self._kinds[number] == OperationKind.PROVISIONAL:
            self._provisional[api] -= 1
        self._kinds[number] = OperationKind.SPECIFIED
        return number

    def unseen(self, api: int) -> int:
        """For exchanges whose request went by before anyone watched."""
        return self._find(api, UNSEEN_KEY, OperationKind.UNSEEN, "", "")

    def demote(self, api: int) -> None:
        """All operations of an API are provisional again: its specifications are about to change."""
        self._db.conn.execute(
            """UPDATE operations SET kind = ?, deprecated = 0, operation_id = NULL
            WHERE api = ? AND kind = ?""",
            (OperationKind.PROVISIONAL, api, OperationKind.SPECIFIED),
        )
        self.forget()

    def without_samples(self, api: int) -> list[tuple[int, str, str, str]]:
        """Provisional operations with counts but no stored exchange: number, key, method, template."""
        return self._db.conn.execute(
            """SELECT number, key, method, template FROM operations WHERE api = ?1 AND kind = ?2 AND count > 0
            AND number NOT IN (SELECT operation FROM exchanges WHERE api = ?1)""",
            (api, OperationKind.PROVISIONAL),
        ).fetchall()

    def _find(self, api: int, key: str, kind: str, method: str, template: str) -> int:
        number = self._numbers.get((api, key))
        if number is None:
            cursor = self._db.conn.execute(
                "INSERT INTO operations (api, key, kind, method, template) VALUES (?, ?, ?, ?, ?)",
                (api, key, kind, method, template),
            )
            assert cursor.lastrowid is not None
            number = self._numbers[api, key] = cursor.lastrowid
            self._keys[number] = key
            self._kinds[number] = kind
        return number


class Consumers:
    """The writer's view of callers, by kind and name."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._kept: Counter[str] = Counter()
        for number, kind, name in self._db.conn.execute("SELECT number, kind, name FROM consumers"):
            self._numbers[kind, name] = number
            self._kept[kind] += 1

    def number(self, kind: ConsumerKind, name: str) -> int:
        known = self._numbers.get((kind, name))
        if known is not None:
            return known
        if self._kept[kind] >= MAX_CONSUMERS and kind is not ConsumerKind.OTHER:
            return self.number(ConsumerKind.OTHER, f"other {kind}")
        cursor = self._db.conn.execute("INSERT INTO consumers (kind, name) VALUES (?, ?)", (kind, name))
        assert cursor.lastrowid is not None
        self._numbers[kind, name] = cursor.lastrowid
        self._kept[kind] += 1
        return cursor.lastrowid

    def drop_unused(self, numbers: Sequence[int]) -> int:
        """Removes those of these callers that nothing refers to, still; how many."""
        marks = ", ".join("?" * len(numbers))
        found = self._db.conn.execute(
            f"DELETE FROM consumers WHERE number IN ({marks}) AND number IN ({UNUSED})", numbers
        )
        self.forget()
        return found.rowcount


class Tally:
    """Contributions of one piece of work, summed in memory and written at once."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._calls: Counter[tuple[int | str, ...]] = Counter()
        self._latency: Counter[tuple[int | str, ...]] = Counter()
        self._verdicts: Counter[tuple[int | str, ...]] = Counter()
        self._totals: Counter[int] = Counter()
        self._seen: dict[int, tuple[int, int]] = {}

    def add(self, one: Contribution, sign: int = 1) -> None:
        self._calls[one.operation, one.hour, one.consumer, one.status] += sign
        self._totals[one.operation] += sign
        if one.bucket is not None:
            self._latency[one.operation, one.hour // 24, one.bucket] += sign
        if one.verdict is not None:
            self._verdicts[one.operation, one.verdict] += sign
        if sign > 0:
            first, last = self._seen.get(one.operation, (one.time, one.time))
            self._seen[one.operation] = (min(first, one.time), max(last, one.time))

    def flush(self) -> None:
        """Writes the sums; a counter that came down to zero is removed."""
        self._write("calls", self._calls)
        self._write("latency", self._latency)
        self._write("verdicts", self._verdicts)
        self._db.conn.executemany(
            """UPDATE operations SET count = count + ?1, first_seen = min(coalesce(first_seen, ?2), ?2),
            last_seen = max(coalesce(last_seen, ?3), ?3) WHERE number = ?4""",
            [(self._totals[op], first, last, op) for op, (first, last) in self._seen.items()],
        )
        self._db.conn.executemany(
            "UPDATE operations SET count = count + ? WHERE number = ?",
            [(count, op) for op, count in self._totals.items() if count and op not in self._seen],
        )
        self.forget()

    def _write(self, table: str, counts: Mapping[tuple[int | str, ...], int]) -> None:
        key = f"operation, {KEYS[table]}"
        changed = [(*at, count) for at, count in counts.items() if count]
        if not changed:
            return
        marks = ", ".join("?" * len(changed[0]))
        self._db.conn.executemany(
            f"INSERT INTO {table} ({key}, count) VALUES ({marks}) "
            "ON CONFLICT DO UPDATE SET count = count + excluded.count",
            changed,
        )
        lowered = [at for at, count in counts.items() if count < 0]
        where = " AND ".join(f"{name} = ?" for name in key.split(", "))
        self._db.conn.executemany(f"DELETE FROM {table} WHERE {where} AND count <= 0", lowered)


def move_counts(db: Database, source: int, target: int) -> None:
    """All that was counted under one operation counts under another; the first is removed."""
    execute = db.conn.execute
    for table, key in KEYS.items():
        execute(
            f"INSERT INTO {table} (operation, {key}, count) "
            f"SELECT ?, {key}, count FROM {table} WHERE operation = ? "
            "ON CONFLICT DO UPDATE SET count = count + excluded.count",
            (target, source),
        )
        execute(f"DELETE FROM {table} WHERE operation = ?", (source,))
    execute(
        """UPDATE operations SET count = operations.count + old.count,
        first_seen = coalesce(
            min(operations.first_seen, old.first_seen), operations.first_seen, old.first_seen),
        last_seen = coalesce(
            max(operations.last_seen, old.last_seen), operations.last_seen, old.last_seen)
        FROM (SELECT count, first_seen, last_seen FROM operations WHERE number = ?) AS old
        WHERE operations.number = ?""",
        (source, target),
    )
    execute("DELETE FROM operations WHERE number = ?", (source,))
