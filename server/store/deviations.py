"""Deviations, stored once for each API and identity, with count, callers and a sample."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlite_utils import Database

from server.analysis.specs.deviation import DeviationIdentity

MAX_DEVIATIONS = 1000  # stored per API: pointers come from the network


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One exchange that showed a deviation; `revision` counts changes of the API's specifications."""

    api: int
    consumer: int
    time: int
    exchange: str
    revision: int


class DeviationCounters:
    """The writer's view."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._numbers: dict[tuple[int, DeviationIdentity], int] = {}
        self._kept: Counter[int] = Counter()
        for number, api, *identity in self._db.conn.execute(
            'SELECT number, api, operation, kind, "where", pointer FROM deviations'
        ):
            self._numbers[api, DeviationIdentity(*identity)] = number
            self._kept[api] += 1
        self._calls: Counter[tuple[int, int]] = Counter()
        self._seen: dict[int, tuple[int, int, int]] = {}

    def add(self, at: Occurrence, identity: DeviationIdentity, message: str) -> bool:
        """Counts it; False where the API's bound is reached and it was left out."""
        number = self._numbers.get((at.api, identity))
        if number is None:
            if self._kept[at.api] >= MAX_DEVIATIONS:
                return False
            number = self._insert(at, identity, message)
        self._calls[number, at.consumer] += 1
        first, last, _ = self._seen.get(number, (at.time, at.time, 0))
        self._seen[number] = (min(first, at.time), max(last, at.time), at.revision)
        return True

    def take_back(self, at: Occurrence, identity: DeviationIdentity) -> None:
        """Counts it no longer."""
        number = self._numbers.get((at.api, identity))
        if number is not None:
            self._calls[number, at.consumer] -= 1

    def _insert(self, at: Occurrence, identity: DeviationIdentity, message: str) -> int:
        cursor = self._db.conn.execute(
            """INSERT INTO deviations
            (api, operation, kind, "where", pointer, message, first_seen, last_seen, sample, revision)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (at.api, *identity, message, at.time, at.time, at.exchange, at.revision),
        )
        assert cursor.lastrowid is not None
        self._numbers[at.api, identity] = cursor.lastrowid
        self._kept[at.api] += 1
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
