"""Deviations, stored once for each API and identity, with count, consumers and a sample."""

from __future__ import annotations

import sqlite3
from collections import Counter

from server.analysis.specs.deviation import DeviationIdentity
from server.store.values import Occurrence

MAX_DEVIATIONS = 1000  # stored per API: pointers come from the network


class SqliteDeviationTally:
    """Numbers are mirrored, and counts summed, in memory."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._numbers: dict[tuple[int, DeviationIdentity], int] = {}
        self._kept: Counter[int] = Counter()
        for number, api, *identity in self._db.execute(
            'SELECT number, api, operation, kind, "where", pointer FROM deviations'
        ):
            self._numbers[api, DeviationIdentity(*identity)] = number
            self._kept[api] += 1
        self._calls: Counter[tuple[int, int]] = Counter()
        self._seen: dict[int, tuple[int, int, int]] = {}

    def add(self, at: Occurrence, identity: DeviationIdentity, message: str) -> bool:
        number = self._numbers.get((at.api, identity))
        if number is None:
            if self._kept[at.api] >= MAX_DEVIATIONS:
                return False
            number = self._insert(at, identity, message)
        self._calls[number, at.consumer] += 1
        first, last, _ = self._seen.get(number, (at.time, at.time, 0))
        self._seen[number] = (min(first, at.time), max(last, at.time, at.last), at.revision)
        return True

    def take_back(self, at: Occurrence, identity: DeviationIdentity) -> None:
        number = self._numbers.get((at.api, identity))
        if number is not None:
            self._calls[number, at.consumer] -= 1

    def _insert(self, at: Occurrence, identity: DeviationIdentity, message: str) -> int:
        row = self._db.execute(
            """INSERT INTO deviations
            (api, operation, kind, "where", pointer, message, first_seen, last_seen, sample, revision)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number""",
            (at.api, *identity, message, at.time, at.time, at.exchange, at.revision),
        ).fetchone()
        number = self._numbers[at.api, identity] = int(row[0])
        self._kept[at.api] += 1
        return number

    def flush(self) -> None:
        many = self._db.executemany
        many(
            """INSERT INTO deviation_calls VALUES (?, ?, ?)
            ON CONFLICT (deviation, consumer) DO UPDATE SET count = deviation_calls.count + excluded.count""",
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
        self.flush()
        execute = self._db.execute
        execute(
            """DELETE FROM deviation_calls WHERE deviation IN
            (SELECT number FROM deviations WHERE api = ? AND revision < ?)""",
            (api, revision),
        )
        execute("DELETE FROM deviations WHERE api = ? AND revision < ?", (api, revision))
        self.forget()
