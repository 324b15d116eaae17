"""A copy of the schema, in a file beside the database.

The schema says where each table begins (sqlite.org/fileformat.html, 2.6). If one of its pages is lost, SQLite
reads no table at all. Only migrations change it, so the copy is written after them.

A stamp in the database's first page (`application_id`) links it to the copy of its schema. It is cleared
before migrations and set anew after them, so that an outdated copy is never used.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

SUFFIX = ".schema"
PAGE_SIZES = [2**power for power in range(9, 17)]  # sqlite.org/fileformat.html, 1.3.2
NO_STAMP = 0  # of a database without a valid copy
Entry = tuple[str, str, str, int, str | None]
"""A row of sqlite_schema: type, name, table name, first page, SQL."""


@dataclass(frozen=True, slots=True)
class SchemaCopy:
    stamp: int
    page_bytes: int
    entries: Sequence[Entry]

    @classmethod
    def of(cls, db: sqlite3.Connection) -> SchemaCopy:
        """Raises sqlite3.Error."""
        rows = db.execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema ORDER BY rowid")
        return cls(stamp_of(db), _pragma(db, "page_size"), rows.fetchall())

    @classmethod
    def read(cls, database: Path) -> SchemaCopy | None:
        """The copy beside a database; None if there is none, or it is damaged itself or of another format."""
        try:
            text = database.with_suffix(SUFFIX).read_text()
            check, _, told = text.partition(" ")
            if check != _check(told):
                return None
            stamp, page_bytes, entries = json.loads(told)
            if page_bytes not in PAGE_SIZES:
                return None
            return cls(stamp, page_bytes, [(*one,) for one in entries])
        except (OSError, ValueError, TypeError):
            return None

    def write(self, database: Path) -> None:
        """Replaces the copy beside a database. Only logs a failure: the server works without the copy."""
        path = database.with_suffix(SUFFIX)
        told = json.dumps([self.stamp, self.page_bytes, self.entries])
        text = f"{_check(told)} {told}"
        fresh = path.with_suffix(f"{SUFFIX}.new")
        try:
            if path.exists() and path.read_bytes() == text.encode():
                return
            with open(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            log.warning("cannot keep a copy of the schema in %s: %s", path, error.strerror)


def keep_schema(db: sqlite3.Connection, database: Path) -> None:
    """Writes the copy of an open database's schema. Raises sqlite3.Error."""
    if stamp_of(db) == NO_STAMP:
        stamp(db, 1 + secrets.randbelow(2**31 - 1))
    SchemaCopy.of(db).write(database)


def stamp(db: sqlite3.Connection, number: int = NO_STAMP) -> None:
    """Sets a database's stamp. Raises sqlite3.Error."""
    db.execute(f"PRAGMA application_id = {number:d}")


def stamp_of(db: sqlite3.Connection) -> int:
    """A database's stamp. Raises sqlite3.Error."""
    return _pragma(db, "application_id")


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _check(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"
