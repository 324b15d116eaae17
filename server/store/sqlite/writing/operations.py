"""Operations, and the counts of each."""

from __future__ import annotations

import sqlite3
from collections import Counter

from server.store.keys import Numbered
from server.store.rows import OperationKind
from server.store.sqlite.writing.coverage import move_coverage
from server.store.sqlite.writing.numbering import insert_once
from server.store.values import Leftover

MAX_PROVISIONAL = 500  # templates per API; further calls count under one operation
MAX_KEY = 600  # maximum length in characters
OVERFLOW_KEY, UNSEEN_KEY = "(other)", "(request not seen)"

KEYS = {
    "calls": "hour, consumer, status, verdict, fault",
    "latency": "day, bucket",
    "verdicts": "verdict",
    "sub_operations": "protocol, kind, name, outcome",
}
"""Tables with a row per count, and their key columns besides the operation."""


Described = tuple[bool, str | None]
"""Whether an operation is deprecated, and its operationId in the specification."""


class SqliteOperations:
    """Numbers, keys, kinds and facts from specifications are mirrored in memory."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._numbers: dict[tuple[int, str], int] = {}
        self._keys: dict[int, str] = {}
        self._kinds: dict[int, str] = {}
        self._provisional: Counter[int] = Counter()
        self._described: dict[int, Described] = {}
        for number, api, key, kind, deprecated, operation_id in self._db.execute(
            "SELECT number, api, key, kind, deprecated, operation_id FROM operations"
        ):
            if kind == OperationKind.SPECIFIED:
                self._described[number] = (bool(deprecated), operation_id)
            self._numbers[api, key] = number
            self._keys[number] = key
            self._kinds[number] = kind
            self._provisional[api] += kind == OperationKind.PROVISIONAL

    def key_of(self, number: int) -> str:
        return self._keys[number]

    def provisional(self, api: int, method: str, template: str, found: bool = True) -> int:
        key = f"{method} {template}"[:MAX_KEY]
        number = self._numbers.get((api, key))
        if number is not None:
            return number
        if self._provisional[api] >= (MAX_PROVISIONAL if found else MAX_PROVISIONAL // 2):
            return self._find(api, OVERFLOW_KEY, OperationKind.OVERFLOW, "", "")
        self._provisional[api] += 1
        return self._find(api, key, OperationKind.PROVISIONAL, method, template)

    def specified(self, api: int, key: str, deprecated: bool, operation_id: str | None) -> int:
        number, stated = self._numbers.get((api, key)), (deprecated, operation_id)
        known = None if number is None else self._described.get(number)
        described = stated if known is None or known == stated else _combined(known, stated)
        if number is None or described != known:
            number = self._describe(api, key, described)
        return number

    def _describe(self, api: int, key: str, described: Described) -> int:
        method, _, template = key.partition(" ")
        number = self._find(api, key, OperationKind.SPECIFIED, method, template)
        self._db.execute(
            "UPDATE operations SET kind = ?, deprecated = ?, operation_id = ? WHERE number = ?",
            (OperationKind.SPECIFIED, *described, number),
        )
        if self._kinds[number] == OperationKind.PROVISIONAL:
            self._provisional[api] -= 1
        self._kinds[number], self._described[number] = OperationKind.SPECIFIED, described
        return number

    def unseen(self, api: int) -> int:
        return self._find(api, UNSEEN_KEY, OperationKind.UNSEEN, "", "")

    def demote(self, api: int) -> None:
        self._db.execute(
            """UPDATE operations SET kind = ?, deprecated = 0, operation_id = NULL
            WHERE api = ? AND kind = ?""",
            (OperationKind.PROVISIONAL, api, OperationKind.SPECIFIED),
        )
        self.forget()

    def leftovers(self, api: int) -> list[Leftover]:
        rows = self._db.execute(
            """SELECT * FROM (SELECT number, key, kind, method, template, count - coalesce(unjudged, 0)
                - coalesce((SELECT sum(count) FROM verdicts WHERE operation = number), 0) AS left,
                stored IS NOT NULL FROM operations
                LEFT JOIN (SELECT operation, count(*) AS stored, sum(verdict IS NULL) AS unjudged
                    FROM exchanges WHERE api = ?1 GROUP BY operation) ON operation = number
                WHERE api = ?1 AND kind <> ?2) WHERE left > 0""",
            (api, OperationKind.UNSEEN),
        )
        return [
            Leftover(number, key, OperationKind(kind), method, template, left, bool(sampled))
            for number, key, kind, method, template, left, sampled in rows
        ]

    def move_counts(self, source: int, target: int) -> None:
        move_counts(self._db, source, target)
        self.forget()

    def _find(self, api: int, key: str, kind: str, method: str, template: str) -> int:
        number = self._numbers.get((api, key))
        if number is None:
            more = {"kind": kind, "method": method, "template": template}
            number = insert_once(self._db, Numbered.OPERATION, {"api": api, "key": key}, more)
            self._numbers[api, key] = number
            self._keys[number] = key
            self._kinds[number] = kind
        return number


def _combined(one: Described, other: Described) -> Described:
    """Combines what several specifications say of an operation, in any order: deprecated if one of them says
    so, and the smallest of their operationIds.
    """
    ids = [id for _, id in (one, other) if id is not None]
    return one[0] or other[0], min(ids, default=None)


def move_counts(db: sqlite3.Connection, source: int, target: int) -> None:
    """Adds the counts of one operation to another, and removes the first."""
    execute = db.execute
    move_coverage(db, source, target)
    for table, key in KEYS.items():
        execute(
            f"INSERT INTO {table} (operation, {key}, count) "
            f"SELECT ?, {key}, count FROM {table} WHERE operation = ? "
            f"ON CONFLICT (operation, {key}) DO UPDATE SET count = {table}.count + excluded.count",
            (target, source),
        )
        execute(f"DELETE FROM {table} WHERE operation = ?", (source,))
    execute(
        """UPDATE operations SET count = operations.count + old.count,
        uncertain = operations.uncertain + old.uncertain,
        first_seen = coalesce(
            min(operations.first_seen, old.first_seen), operations.first_seen, old.first_seen),
        last_seen = coalesce(
            max(operations.last_seen, old.last_seen), operations.last_seen, old.last_seen)
        FROM (SELECT count, uncertain, first_seen, last_seen FROM operations WHERE number = ?) AS old
        WHERE operations.number = ?""",
        (source, target),
    )
    execute("DELETE FROM operations WHERE number = ?", (source,))
