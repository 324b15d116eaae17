"""Held views: their rows are stored, but not yet counted as an exchange."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from agent.wire import Record
from server.store.sqlite.reading.readable import Readable


class SqliteHeld:
    def __init__(self, db: sqlite3.Connection, readable: Readable) -> None:
        self._db = db
        self._readable = readable

    def add(self, numbers: Iterable[int]) -> None:
        self._db.executemany("INSERT INTO held VALUES (?)", ((number,) for number in numbers))

    def remove(self, numbers: Iterable[int]) -> None:
        self._db.executemany("DELETE FROM held WHERE number = ?", ((number,) for number in numbers))

    def ids(self) -> Mapping[int, str]:
        return dict(self._db.execute("SELECT number, id FROM held JOIN witnesses USING (number)"))

    def record(self, number: int) -> tuple[Record, int] | None:
        row = self._db.execute("SELECT record FROM witnesses WHERE number = ?", (number,)).fetchone()
        for record in self._readable.records(row or ()):
            return record, len(row[0])
        return None
