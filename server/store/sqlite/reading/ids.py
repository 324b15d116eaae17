"""Translates a public id, current or earlier, to the current number."""

from __future__ import annotations

import sqlite3

from server.store.keys import Numbered, number_in


def api_number(db: sqlite3.Connection, id: str) -> int | None:
    """The number of an API, or of the API that it was merged into."""
    row = db.execute(
        "SELECT coalesce(merged_into, number) FROM apis WHERE number = ?",
        (_number(db, Numbered.API, id),),
    ).fetchone()
    return None if row is None else int(row[0])


def deviation_number(db: sqlite3.Connection, id: str) -> int | None:
    """The number of a deviation, even if it is no longer stored."""
    return _number(db, Numbered.DEVIATION, id)


def _number(db: sqlite3.Connection, kind: Numbered, id: str) -> int | None:
    row = db.execute("SELECT number FROM aliases WHERE kind = ? AND old = ?", (kind, id)).fetchone()
    return number_in(id) if row is None else int(row[0])
