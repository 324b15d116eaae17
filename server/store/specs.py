"""Uploaded specifications as they came, and which API each one describes."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

MAX_TITLE = 200  # characters of a title or version, of which documents may hold megabytes


@dataclass(frozen=True, slots=True)
class StoredSpec:
    """`host` limits it to calls that name this host; `base_path` replaces that of its server URLs."""

    number: int
    id: str
    api: int
    host: str | None
    base_path: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """A document as it came, and what it is said to describe."""

    raw: bytes
    host: str | None = None
    base_path: str | None = None


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


def list_specs(db: sqlite3.Connection, limit: int, after: int | None = None) -> list[dict[str, Any]]:
    """Specifications without their documents, newest first; those before number `after`."""
    rows = db.execute(
        """SELECT specs.number, specs.id, apis.id AS api, specs.host, specs.base_path, specs.title,
        specs.version, specs.warnings, specs.uploaded FROM specs JOIN apis ON apis.number = specs.api
        WHERE specs.number < ? ORDER BY specs.number DESC LIMIT ?""",
        (after if after is not None else 2**63 - 1, limit),
    )
    return [dict(row) for row in rows]


def of_api(db: sqlite3.Connection, api: int) -> list[dict[str, Any]]:
    """An API's specifications, newest first, with the raw documents."""
    rows = db.execute("SELECT * FROM specs WHERE api = ? ORDER BY number DESC", (api,))
    return [dict(row) for row in rows]


def of_id(db: sqlite3.Connection, id: str) -> dict[str, Any] | None:
    """A specification with its raw document."""
    row = db.execute("SELECT * FROM specs WHERE id = ?", (id,)).fetchone()
    return None if row is None else dict(row)


def revisions(db: Database) -> dict[int, int]:
    """Of each API, how often its specifications have changed."""
    return dict(db.conn.execute("SELECT number, revision FROM apis"))
