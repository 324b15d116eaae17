"""Deviations, stored once per API and identity, with count, consumers and a sample."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter

from server.analysis.specs.deviation import DeviationIdentity
from server.store.errors import KeyCollision
from server.store.keys import Numbered, Part
from server.store.sqlite.writing.numbering import insert_once
from server.store.values import Occurrence

log = logging.getLogger(__name__)

MAX_DEVIATIONS = 1000  # per API: pointers come from the network
IDENTITY = ("operation", "kind", "where", "pointer")
"""The columns of a deviation's identity within an API."""


Shown = tuple[int, int, str, str]
"""An exchange that showed a deviation: the revision it was validated under, its last time, id and message."""


class SqliteDeviationTally:
    """Numbers are mirrored, and counts summed, in memory.

    The sample is the newest exchange by time and id that shows the deviation under the current
    specifications, whatever the order of arrival. The message is the sample's.
    """

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
        self._first: dict[int, int] = {}
        self._newest: dict[int, Shown] = {}

    def add(self, at: Occurrence, identity: DeviationIdentity, message: str) -> bool:
        number = self._numbers.get((at.api, identity))
        if number is None:
            if self._kept[at.api] >= MAX_DEVIATIONS:
                return False
            try:
                number = self._insert(at, identity, message)
            except KeyCollision as error:
                log.error("a deviation is left out: %s", error)
                return False
        self._calls[number, at.consumer] += 1
        self._first[number] = min(self._first.get(number, at.time), at.time)
        shown = (at.revision, max(at.time, at.last), at.exchange, message)
        self._newest[number] = max(self._newest.get(number, shown), shown)
        return True

    def take_back(self, at: Occurrence, identity: DeviationIdentity) -> None:
        number = self._numbers.get((at.api, identity))
        if number is not None:
            self._calls[number, at.consumer] -= 1

    def _insert(self, at: Occurrence, identity: DeviationIdentity, message: str) -> int:
        key: dict[str, Part] = {"api": at.api, **dict(zip(IDENTITY, identity, strict=True))}
        more: dict[str, Part] = {
            "message": message,
            "first_seen": at.time,
            "last_seen": at.time,
            "sample": at.exchange,
            "revision": at.revision,
        }
        number = insert_once(self._db, Numbered.DEVIATION, key, more)
        self._numbers[at.api, identity] = number
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
            "UPDATE deviations SET first_seen = min(first_seen, ?) WHERE number = ?",
            [(first, number) for number, first in self._first.items()],
        )
        many(
            """UPDATE deviations SET revision = ?1, last_seen = ?2, sample = ?3, message = ?4
            WHERE number = ?5 AND (revision <> ?1 OR (last_seen, sample, message) < (?2, ?3, ?4))""",
            [(*shown, number) for number, shown in self._newest.items()],
        )
        for number in {number for (number, _), count in self._calls.items() if count < 0}:
            self._remove_unshown(number)
        self._calls.clear()
        self._first.clear()
        self._newest.clear()

    def _remove_unshown(self, number: int) -> None:
        """Removes a deviation if no call shows it any more: if it is shown again, it is a new one."""
        row = self._db.execute(
            """DELETE FROM deviations WHERE number = ?1
            AND NOT EXISTS (SELECT 1 FROM deviation_calls WHERE deviation = ?1)
            RETURNING api, operation, kind, "where", pointer""",
            (number,),
        ).fetchone()
        if row is not None:
            api, *identity = row
            del self._numbers[api, DeviationIdentity(*identity)]
            self._kept[api] -= 1

    def reset(self, api: int) -> None:
        self._db.execute(
            "DELETE FROM deviation_calls WHERE deviation IN (SELECT number FROM deviations WHERE api = ?)",
            (api,),
        )
        self._db.execute("DELETE FROM deviations WHERE api = ?", (api,))
        self.forget()
