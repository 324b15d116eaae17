"""Uploaded specifications as they came, and which API each one describes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence

from sqlite_utils import Database

from server.store.values import MAX_TITLE, StoredSpec, Upload


def stored(db: Database) -> list[StoredSpec]:
    """All specifications without their documents, oldest first. Writer's thread."""
    rows = db.conn.execute("SELECT number, id, api, host, base_path FROM specs ORDER BY number")
    return [StoredSpec(*row) for row in rows]


def document(db: Database, number: int) -> bytes:
    """A specification's document as it was uploaded. Writer's thread."""
    raw: bytes = db.conn.execute("SELECT raw FROM specs WHERE number = ?", (number,)).fetchone()[0]
    return raw


def insert(
    db: Database, api: int, upload: Upload, title: str, version: str, warnings: Sequence[str], now: int
) -> StoredSpec:
    id = secrets.token_hex(8)
    title, version = title[:MAX_TITLE], version[:MAX_TITLE]
    cursor = db.conn.execute(
        """INSERT INTO specs (id, api, host, base_path, title, version, warnings, uploaded, raw)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (id, api, upload.host, upload.base_path, title, version, json.dumps(warnings), now, upload.raw),
    )
    assert cursor.lastrowid is not None
    return StoredSpec(cursor.lastrowid, id, api, upload.host, upload.base_path)


def numbers_of(db: Database, id: str) -> tuple[int, int] | None:
    """(a specification's number, its API's). Writer's thread."""
    row = db.conn.execute("SELECT number, api FROM specs WHERE id = ?", (id,)).fetchone()
    return None if row is None else (row[0], row[1])


def remove(db: Database, numbers: list[int]) -> None:
    db.conn.executemany("DELETE FROM specs WHERE number = ?", [(number,) for number in numbers])


def revisions(db: Database) -> dict[int, int]:
    """Of each API, how often its specifications have changed."""
    return dict(db.conn.execute("SELECT number, revision FROM apis"))
