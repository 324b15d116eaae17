"""Learned documents: states, published versions and decisions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping

import zstandard

from server.analysis.json import JsonObject
from server.store.rows import Publication
from server.store.values import Learned


class SqliteLessons:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def save(self, learned: Mapping[int, Learned], last: int) -> Mapping[int, int | Exception] | None:
        if self._are_merged(learned):
            return None
        saved = {api: self._save(api, one) for api, one in learned.items()}
        self._db.execute("DELETE FROM learning")
        self._db.execute("INSERT INTO learning (watermark) VALUES (?)", (last,))
        return saved

    def _are_merged(self, apis: Collection[int]) -> bool:
        """Whether any of these APIs was merged into another."""
        rows = self._db.execute("SELECT number FROM apis WHERE merged_into IS NOT NULL")
        return any(number in apis for (number,) in rows)

    def _save(self, api: int, one: Learned) -> int | Exception:
        query = "INSERT INTO learners (api, state) VALUES (?, ?) RETURNING number"
        try:
            row = self._db.execute(query, (api, zstandard.compress(one.state))).fetchone()
        except (sqlite3.DataError, OverflowError) as error:  # exceeds the maximum size of a row
            return error
        self._db.executemany("DELETE FROM learners WHERE number = ?", [(number,) for number in one.rows])
        return int(row[0])

    def publish(self, api: int, publication: Publication) -> None:
        document = zstandard.compress(json.dumps(publication.document).encode())
        changes = json.dumps([*publication.changes])
        self._db.execute(
            "INSERT INTO rebuilt (api, version, time, document, changes) VALUES (?, ?, ?, ?, ?)",
            (api, publication.version, publication.time, document, changes),
        )

    def decide(self, api: int, decision: JsonObject, now: int) -> int:
        row = self._db.execute(
            "INSERT INTO decisions (api, time, decision) VALUES (?, ?, ?) RETURNING number",
            (api, now, json.dumps(decision)),
        ).fetchone()
        return int(row[0])

    def withdraw(self, api: int, number: int) -> bool:
        found = self._db.execute("DELETE FROM decisions WHERE api = ? AND number = ?", (api, number))
        return found.rowcount > 0
