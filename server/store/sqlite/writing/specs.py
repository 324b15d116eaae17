"""Specifications and their uploaded documents."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Sequence

from server.store.rows import DeviationState
from server.store.values import MAX_TITLE, StoredSpec, Upload

STORED = "SELECT number, id, api, host, base_path FROM specs"


class SqliteSpecs:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def stored(self) -> Sequence[StoredSpec]:
        return [StoredSpec(*row) for row in self._db.execute(f"{STORED} ORDER BY number")]

    def document(self, number: int) -> bytes:
        raw: bytes = self._db.execute("SELECT raw FROM specs WHERE number = ?", (number,)).fetchone()[0]
        return raw

    def find(self, id: str) -> StoredSpec | None:
        row = self._db.execute(f"{STORED} WHERE id = ?", (id,)).fetchone()
        return None if row is None else StoredSpec(*row)

    def add(
        self, api: int, upload: Upload, title: str, version: str, warnings: Sequence[str], now: int
    ) -> StoredSpec:
        id = secrets.token_hex(8)
        row = self._db.execute(
            """INSERT INTO specs (id, api, host, base_path, title, version, warnings, uploaded, raw)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number""",
            (
                id,
                api,
                upload.host,
                upload.base_path,
                title[:MAX_TITLE],
                version[:MAX_TITLE],
                json.dumps([*warnings]),
                now,
                upload.raw,
            ),
        ).fetchone()
        return StoredSpec(int(row[0]), id, api, upload.host, upload.base_path)

    def remove(self, specs: Iterable[StoredSpec]) -> None:
        for spec in specs:
            self._db.execute("DELETE FROM specs WHERE number = ?", (spec.number,))
            self._db.execute(
                "DELETE FROM deviation_decisions WHERE state = ? AND spec = ?",
                (DeviationState.ACCEPTED, spec.id),
            )
