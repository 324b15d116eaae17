"""Tests by writing whether the database accepts writes."""

from __future__ import annotations

import sqlite3

ROOM_BYTES = 1024 * 1024  # after a refused write, so much must fit before batches are accepted again


class SqliteRoom:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def probe(self) -> None:
        self._db.execute("PRAGMA user_version = 1")

    def fill(self) -> None:
        self._db.execute("CREATE TABLE IF NOT EXISTS room (bytes BLOB)")
        self._db.execute("INSERT INTO room VALUES (zeroblob(?))", (ROOM_BYTES,))

    def free(self) -> None:
        self._db.execute("DROP TABLE IF EXISTS room")
