"""Inserts rows whose number is derived from their key."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from server.store.keys import Numbered, Part, check_key, number_of


def insert_once(
    db: sqlite3.Connection,
    kind: Numbered,
    key: Mapping[str, Part],
    more: Mapping[str, Part] | None = None,
    if_there: str = "NOTHING",
) -> int:
    """The number of the row with these key columns; inserted with `more` if missing. Raises KeyCollision."""
    table, number = f"{kind}s", number_of(kind, *key.values())
    row = {"number": number, **key, **(more or {})}
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    inserted = db.execute(
        f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT (number) DO {if_there} RETURNING number",
        (*row.values(),),
    ).fetchone()
    if inserted is None:
        columns = ", ".join(f'"{name}"' for name in key)
        found = db.execute(f"SELECT {columns} FROM {table} WHERE number = ?", (number,)).fetchone()
        check_key(kind, number, (*key.values(),), tuple(found))
    return number
