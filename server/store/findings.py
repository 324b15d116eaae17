"""Deviations, kept once each: API, operation, kind, where, pointer; with count, callers and a sample."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from sqlite_utils import Database

ITEM = re.compile(r"/[0-9]+(?=/|$)")
MAX_DEVIATIONS = 1000  # kept per API: pointers come from the network
MAX_POINTER = 300  # characters
MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """One deviation of one exchange; all but the message tells it from others."""

    operation: str
    kind: str
    where: str
    pointer: str
    message: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """One exchange that showed it; `revision` counts changes of the API's specifications."""

    api: int
    consumer: int
    time: int
    exchange: str
    revision: int


def bounded(operation: str, kind: str, where: str, pointer: str, message: str) -> Finding:
    """The finding as it is kept: once for all items of an array, or the list would grow with traffic."""
    if where.endswith(".body"):
        pointer = ITEM.sub("/*", pointer)
    return Finding(operation, kind, where, pointer[:MAX_POINTER], message[:MAX_MESSAGE])


class Findings:
    """The writer's view."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._numbers: dict[tuple[int, str, str, str, str], int] = {}
        self._kept: Counter[int] = Counter()
        for number, *key in self._db.conn.execute(
            'SELECT number, api, operation, kind, "where", pointer FROM deviations'
        ):
            self._numbers[tuple(key)] = number
            self._kept[key[0]] += 1
        self._calls: Counter[tuple[int, int]] = Counter()
        self._seen: dict[int, tuple[int, int, int]] = {}

    def add(self, at: Sighting, one: Finding, sign: int = 1) -> bool:
        """Counts it; False where the API's bound is reached and it was left out."""
        api, consumer, time = at.api, at.consumer, at.time
        key = (api, one.operation, one.kind, one.where, one.pointer)
        number = self._numbers.get(key)
        if number is None:
            if sign < 0 or self._kept[api] >= MAX_DEVIATIONS:
                return False
            number = self._insert(key, one.message, at)
        self._calls[number, consumer] += sign
        if sign > 0:
            first, last, _ = self._seen.get(number, (time, time, 0))
            self._seen[number] = (min(first, time), max(last, time), at.revision)
        return True

    def _insert(self, key: tuple[int, str, str, str, str], message: str, at: Sighting) -> int:
        cursor = self._db.conn.execute(
            """INSERT INTO deviations
            (api, operation, kind, "where", pointer, message, first_seen, last_seen, sample, revision)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (*key, message, at.time, at.time, at.exchange, at.revision),
        )
        assert cursor.lastrowid is not None
        self._numbers[key] = cursor.lastrowid
        self._kept[key[0]] += 1
        return cursor.lastrowid

    def flush(self) -> None:
        many = self._db.conn.executemany
        many(
            """INSERT INTO deviation_calls VALUES (?, ?, ?)
            ON CONFLICT DO UPDATE SET count = count + excluded.count""",
            [(*key, count) for key, count in self._calls.items() if count],
        )
        many(
            "DELETE FROM deviation_calls WHERE deviation = ? AND consumer = ? AND count <= 0",
            [key for key, count in self._calls.items() if count < 0],
        )
        many(
            """UPDATE deviations SET first_seen = min(first_seen, ?), last_seen = max(last_seen, ?),
            revision = ? WHERE number = ?""",
            [(*seen, number) for number, seen in self._seen.items()],
        )
        self._calls.clear()
        self._seen.clear()

    def purge(self, api: int, revision: int) -> None:
        """Removes what no exchange has shown since the API's specifications changed."""
        self.flush()
        execute = self._db.conn.execute
        execute(
            """DELETE FROM deviation_calls WHERE deviation IN
            (SELECT number FROM deviations WHERE api = ? AND revision < ?)""",
            (api, revision),
        )
        execute("DELETE FROM deviations WHERE api = ? AND revision < ?", (api, revision))
        self.forget()
