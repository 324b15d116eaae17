"""The spool's file: made for its owner alone, opened by one agent at a time, its errors in plain words.

The journal survives kill -9 with every committed transaction; a power failure may take the last ones, but
never the file.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.ship import spool_tables as tables

JOURNAL_BYTES = 4 * 1024 * 1024  # kept beside the file
BUSY_S = 1.0
BROKEN_SUFFIX, JOURNAL = ".broken", "-wal"
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
    """The file, made if missing, locked until it is closed or this process ends; nothing is written yet."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.fchmod(made, 0o600)
        os.close(made)
    except OSError as error:
        raise SpoolError(error.strerror or type(error).__name__) from None
    db = sqlite3.connect(file, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        with translated():
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # takes the lock
    except SpoolError:
        db.close()
        raise
    return db


def set_aside(file: Path) -> Path:
    """Moves a file out of the way that is no spool, over one that was moved before."""
    aside = file.with_suffix(BROKEN_SUFFIX)
    try:
        os.replace(file, aside)
    except OSError as error:
        raise SpoolError(error.strerror or type(error).__name__) from None
    removed(file)
    return aside


def journal_kept(file: Path) -> Path | None:
    """Copies the journal, which the next write begins anew, beside where a broken file is set aside; None
    where there is none, or no room."""
    aside = file.with_suffix(BROKEN_SUFFIX + JOURNAL)
    try:
        with file.with_name(file.name + JOURNAL).open("rb") as journal:
            if not os.fstat(journal.fileno()).st_size:
                return None
            made = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with open(made, "wb") as copy:
                shutil.copyfileobj(journal, copy)
    except OSError:
        return None
    return aside


def removed(file: Path) -> None:
    """Removes the file and its journal. Nobody may have it open."""
    try:
        for name in (file.name, file.name + JOURNAL):
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


def prepare(db: sqlite3.Connection) -> None:
    """For writing, with the tables that are missing. Raises SpoolBroken where the file is something else."""
    with translated():
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
        (made,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
    if not made:
        with transaction(db) as execute:
            for statement in tables.SCHEMA.split(";")[:-1]:
                execute(statement)
            execute(f"PRAGMA application_id = {tables.APPLICATION}")
            execute(f"PRAGMA user_version = {tables.FORMAT}")
    elif (application, version) != (tables.APPLICATION, tables.FORMAT):
        raise SpoolBroken("the file is no spool of this version")
    with translated():
        for statement in tables.LATER:
            db.execute(statement)
