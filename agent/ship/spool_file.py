"""The spool's file: made for its owner alone, opened by one agent at a time, its errors in plain words.

The journal survives kill -9 with every committed transaction; a power failure may take the last ones, but
never the file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

APPLICATION = 0x73707470  # "sptp", in the file's header
FORMAT = 1
JOURNAL_BYTES = 4 * 1024 * 1024  # kept beside the file
BUSY_S = 1.0
SCHEMA = """
CREATE TABLE epochs (
    epoch TEXT PRIMARY KEY, agent TEXT NOT NULL, next_seq INTEGER NOT NULL, ledger TEXT NOT NULL,
    at INTEGER NOT NULL, ended INTEGER NOT NULL
) STRICT;
CREATE TABLE parcels (
    number INTEGER PRIMARY KEY, epoch TEXT NOT NULL, version INTEGER NOT NULL, records INTEGER NOT NULL,
    size INTEGER NOT NULL, at INTEGER NOT NULL, frame BLOB NOT NULL
) STRICT;
CREATE TABLE sent (
    agent TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, head BLOB NOT NULL,
    first INTEGER NOT NULL, beyond INTEGER NOT NULL
) STRICT;
"""
"""A parcel's number is the place of its first record among all that were ever kept; it takes as many places
as it has records."""
DESTINATION = "CREATE TABLE IF NOT EXISTS destination (server TEXT NOT NULL) STRICT"
"""Apart, since files of this format were made without it: they are of no server yet."""

BROKEN = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
DAMAGED = "the file is damaged"
REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another agent uses it",
    sqlite3.SQLITE_READONLY: "it cannot be written",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: "the file is no spool",
}


class SpoolError(Exception):
    """The spool cannot be used now; the message is the reason, for a person."""


class SpoolBroken(SpoolError):
    """The file is not a spool, or no longer."""


class SpoolHeld(SpoolError):
    """The spool holds what was captured for another server."""


def opened(file: Path) -> sqlite3.Connection:
    """The file, made if missing, locked until it is closed or this process ends."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.fchmod(made, 0o600)
        os.close(made)
    except OSError as error:
        raise SpoolError(error.strerror or type(error).__name__) from None
    db = sqlite3.connect(file, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _prepare(db)
    except SpoolError:
        db.close()
        raise
    return db


def set_aside(file: Path) -> Path:
    """Moves a file out of the way that is no spool, over one that was moved before."""
    aside = file.with_suffix(".broken")
    try:
        os.replace(file, aside)
    except OSError as error:
        raise SpoolError(error.strerror or type(error).__name__) from None
    removed(file)
    return aside


def removed(file: Path) -> None:
    """Removes the file and its journal. Nobody may have it open."""
    try:
        for name in (file.name, file.name + "-wal"):
            file.with_name(name).unlink(missing_ok=True)
    except OSError as error:
        raise SpoolError(error.strerror or type(error).__name__) from None


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[Callable[..., sqlite3.Cursor]]:
    """All of it or nothing. Raises SpoolError."""
    with translated():
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db.execute
            db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                if db.in_transaction:
                    db.execute("ROLLBACK")
            raise


@contextmanager
def translated() -> Iterator[None]:
    """SQLite's errors as SpoolError, or SpoolBroken where they will not pass."""
    try:
        yield
    except UnicodeDecodeError:  # what sqlite3 makes of its own message about a damaged name
        raise SpoolBroken(DAMAGED) from None
    except sqlite3.OperationalError as error:
        if not hasattr(error, "sqlite_errorcode"):  # text that is not UTF-8
            raise SpoolBroken(DAMAGED) from None
        raise _told(error) from None
    except sqlite3.Error as error:
        raise _told(error) from None


def _told(error: sqlite3.Error) -> SpoolError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    kind = SpoolBroken if code in BROKEN else SpoolError
    return kind(REASONS.get(code, getattr(error, "sqlite_errorname", type(error).__name__)))


def _prepare(db: sqlite3.Connection) -> None:
    with translated():
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
    if not tables:
        with transaction(db) as execute:
            for statement in SCHEMA.split(";")[:-1]:
                execute(statement)
            execute(f"PRAGMA application_id = {APPLICATION}")
            execute(f"PRAGMA user_version = {FORMAT}")
    elif (application, version) != (APPLICATION, FORMAT):
        raise SpoolBroken("the file is no spool of this version")
    with translated():
        db.execute(DESTINATION)
