"""What was learnt of each API, what was published of it, and what a person decided."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping

import zstandard
from sqlite_utils import Database

from server.analysis.json import JsonObject
from server.store.rows import Publication
from server.store.values import Learned


def save(db: Database, learnt: Mapping[int, Learned], last: int) -> dict[int, int | Exception] | None:
    """Writes states and the watermark together. By API its new row, or why it could not be written; None, and
    nothing, where an API was merged meanwhile."""
    if _are_merged(db, learnt):
        return None
    saved = {api: _save(db, api, one) for api, one in learnt.items()}
    db.conn.execute("DELETE FROM learning")
    db.conn.execute("INSERT INTO learning (watermark) VALUES (?)", (last,))
    return saved


def _save(db: Database, api: int, one: Learned) -> int | Exception:
    packed = zstandard.compress(one.state)
    try:
        cursor = db.conn.execute("INSERT INTO learners (api, state) VALUES (?, ?)", (api, packed))
    except (sqlite3.DataError, OverflowError) as error:  # larger than a row may be
        return error
    db.conn.executemany("DELETE FROM learners WHERE number = ?", [(row,) for row in one.rows])
    return int(cursor.lastrowid or 0)


def publish(db: Database, api: int, one: Publication) -> None:
    document = zstandard.compress(json.dumps(one.document).encode())
    db.conn.execute(
        "INSERT INTO rebuilt (api, version, time, document, changes) VALUES (?, ?, ?, ?, ?)",
        (api, one.version, one.time, document, json.dumps([*one.changes])),
    )


def _are_merged(db: Database, apis: Collection[int]) -> bool:
    """Whether any of these APIs turned out to be another."""
    rows = db.conn.execute("SELECT number FROM apis WHERE merged_into IS NOT NULL")
    return any(number in apis for (number,) in rows)


def decide(db: Database, api: int, decision: JsonObject, now: int) -> int:
    cursor = db.conn.execute(
        "INSERT INTO decisions (api, time, decision) VALUES (?, ?, ?)", (api, now, json.dumps(decision))
    )
    return int(cursor.lastrowid or 0)


def withdraw(db: Database, api: int, number: int) -> bool:
    """Whether there was such a decision."""
    cursor = db.conn.execute("DELETE FROM decisions WHERE api = ? AND number = ?", (api, number))
    return cursor.rowcount > 0


def move(db: Database, source: int, target: int) -> None:
    """An API turned out to be another: what was learnt and decided becomes the other's, as do versions if it
    has none."""
    execute = db.conn.execute
    execute("UPDATE learners SET api = ? WHERE api = ?", (target, source))
    execute("UPDATE decisions SET api = ? WHERE api = ?", (target, source))
    if not execute("SELECT 1 FROM rebuilt WHERE api = ? LIMIT 1", (target,)).fetchone():
        execute("UPDATE rebuilt SET api = ? WHERE api = ?", (target, source))
