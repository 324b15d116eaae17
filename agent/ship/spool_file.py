"""The spool's file: accessible to its owner only, opened by one agent at a time, with errors as sentences.

Every committed transaction survives kill -9; a power failure may lose the last ones, but does not damage the
file.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.ship import spool_tables as tables

JOURNAL_BYTES = 4 * 1024 * 1024  # at most, of the journal beside the file
BUSY_S = 1.0
BROKEN_SUFFIX, JOURNAL = ".broken", "-wal"
BROKEN = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
DAMAGED = "the file is damaged"
_JOURNAL_HEAD, _FRAME_HEAD = 32, 24  # bytes, as https://sqlite.org/fileformat2.html#walformat has them
REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_BUSY: "another agent uses it",
    sqlite3.SQLITE_READONLY: "it cannot be written",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: "the file is not a spool",
}


class SpoolError(Exception):
    """The spool cannot be used now; the message is the reason, as a sentence."""


class SpoolBroken(SpoolError):
    """The file is not a spool, or is damaged."""


class SpoolHeld(SpoolError):
    """The spool holds records for another server."""


def open_file(file: Path) -> sqlite3.Connection:
    """Opens the file, created if missing, locked until it is closed or this process ends; nothing is written
    yet.
    """
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


def move_aside(file: Path) -> Path:
    """Moves aside a file that is not a spool, replacing one moved before."""
    aside = file.with_suffix(BROKEN_SUFFIX)
    try:
        os.replace(file, aside)
    except OSError as error:
        raise SpoolError(error.strerror or type(error).__name__) from None
    remove_file(file)
    return aside


def copy_journal(file: Path) -> Path | None:
    """Copies the journal, which the next write restarts, beside the place for broken files; None if there is
    no journal, or no room.
    """
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


def journal_damaged(db: sqlite3.Connection, file: Path) -> bool:
    """Whether SQLite ignores committed frames of the journal, or all of it. Damage that leaves no trace of a
    frame, such as a file cut short, is not found.
    """
    try:
        with file.with_name(file.name + JOURNAL).open("rb") as journal:
            head = journal.read(_JOURNAL_HEAD)
            with translated():
                (_, frames, _) = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if len(head) < _JOURNAL_HEAD or frames <= 0:
                return os.fstat(journal.fileno()).st_size > _JOURNAL_HEAD
            size, salts = int.from_bytes(head[8:12], "big") + _FRAME_HEAD, head[16:24]
            at = _JOURNAL_HEAD + frames * size
            while len(frame := os.pread(journal.fileno(), _FRAME_HEAD, at)) == _FRAME_HEAD:
                if frame[8:16] == salts and any(frame[4:8]):
                    return True  # of this generation, and the last of a transaction
                at += size
    except OSError:
        pass
    return False


def remove_file(file: Path) -> None:
    """Removes the file and its journal, which must not be open."""
    try:
        for name in (file.name, file.name + JOURNAL):
            file.with_name(name).unlink(missing_ok=True)
    except OSError as error:
        raise SpoolError(error.strerror or type(error).__name__) from None


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[Callable[..., sqlite3.Cursor]]:
    """A transaction. Raises SpoolError."""
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
    """Translates SQLite's errors to SpoolError, or SpoolBroken if they are permanent."""
    try:
        yield
    except UnicodeDecodeError:  # sqlite3's own message about a damaged name
        raise SpoolBroken(DAMAGED) from None
    except sqlite3.OperationalError as error:
        if not hasattr(error, "sqlite_errorcode"):  # stored text that is not UTF-8
            raise SpoolBroken(DAMAGED) from None
        raise _error_of(error) from None
    except sqlite3.Error as error:
        raise _error_of(error) from None


def _error_of(error: sqlite3.Error) -> SpoolError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    kind = SpoolBroken if code in BROKEN else SpoolError
    return kind(REASONS.get(code, getattr(error, "sqlite_errorname", type(error).__name__)))


def prepare(db: sqlite3.Connection) -> None:
    """Prepares the file for writing and creates missing tables. Raises SpoolBroken if the file is something
    else.
    """
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
        raise SpoolBroken("the file is not a spool of this version")
    with translated():
        for statement in tables.LATER:
            db.execute(statement)
