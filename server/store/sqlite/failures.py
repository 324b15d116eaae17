"""Translates SQLite's errors for the rest of the server."""

from __future__ import annotations

import sqlite3

from server.store.errors import CURE, Damaged, StoreUnavailable

MISTAKES = (sqlite3.IntegrityError, sqlite3.ProgrammingError)  # caused by the statement, not by the file
DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
REASONS = {
    "SQLITE_FULL": "the disk or the allowed file size is full",
    "SQLITE_BUSY": "the database is locked by another process",
    "SQLITE_READONLY": "the database is read-only",
}


def reason(error: sqlite3.Error) -> str:
    name: str = getattr(error, "sqlite_errorname", "") or type(error).__name__
    return REASONS.get(name, f"the database answered {name}")


def unavailable(error: sqlite3.Error) -> StoreUnavailable:
    name: str = getattr(error, "sqlite_errorname", "")
    if name.startswith(DAMAGE):
        return Damaged(f"the database is damaged ({reason(error)}): {CURE}")
    return StoreUnavailable(reason(error))
