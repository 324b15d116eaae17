"""Makes a readable copy of a database that has lost part of its schema, from the copy of the schema."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path

from server.store.sqlite.schema_copy import SchemaCopy, stamp_of

HEAD = struct.Struct(">16sH6B12I28x")  # sqlite.org/fileformat.html, 1.3
LEAF = struct.Struct(">BHHHB")  # 1.6: the head of a page without others below it
LEGACY, WAL = 1, 2
SCHEMA_FORMAT, UTF_8 = 4, 1
LARGEST_PAGE = 65_536  # whose size is written as 1, and as an offset as 0


def lost_schema(path: Path) -> SchemaCopy | None:
    """The copy to use if part of a schema is lost; None if nothing is lost, or if no copy belongs to it."""
    copy = SchemaCopy.read(path)
    if copy is None:
        return None
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        try:
            if stamp_of(db) != copy.stamp:
                return None
            SchemaCopy.of(db)
        except sqlite3.Error:
            return copy
    return None


def revive(path: Path, copy: SchemaCopy, into: Path) -> None:
    """Writes all pages of a database to `into`, under a new schema. Raises OSError, sqlite3.Error."""
    shutil.copyfile(path, into)
    log = Path(f"{path}-wal")
    if log.exists():  # may contain any page, including the first
        shutil.copyfile(log, f"{into}-wal")
        _begin(into, copy, WAL)
        with closing(sqlite3.connect(into)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    _begin(into, copy, LEGACY)
    with closing(sqlite3.connect(into)) as db, db:
        db.execute("PRAGMA writable_schema = ON")
        db.executemany("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", copy.entries)


def _begin(path: Path, copy: SchemaCopy, mode: int) -> None:
    """Overwrites the first page with that of a database without tables and without free pages, so that new
    pages are added at the end of the file.
    """
    size = copy.page_bytes
    written = 1 if size == LARGEST_PAGE else size
    counts = (1, 0, 0, 0, 1, SCHEMA_FORMAT, 0, 0, UTF_8, 0, 0, 0)
    head = HEAD.pack(b"SQLite format 3\0", written, mode, mode, 0, 64, 32, 32, *counts)
    page = head + LEAF.pack(13, 0, 0, size % LARGEST_PAGE, 0)
    with path.open("r+b") as file:
        file.write(page.ljust(size, b"\0"))
