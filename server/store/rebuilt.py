"""What was learnt of each API, what was published of it, and what a person decided."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import zstandard
from sqlite_utils import Database

from server.store.exchanges import IDS_AT_ONCE


@dataclass(frozen=True, slots=True)
class Stored:
    """An exchange that is to be learnt from, without its records."""

    number: int
    api: int
    operation: int
    status: int


@dataclass(frozen=True, slots=True)
class Publication:
    """One version of an API's rebuilt document. `time` in ns; `changes` since the version before."""

    version: str
    time: int
    document: dict[str, Any]
    changes: list[dict[str, Any]]


def watermark(db: sqlite3.Connection) -> int:
    """The number of the last exchange that was learnt from or passed over."""
    row = db.execute("SELECT watermark FROM learning").fetchone()
    return int(row[0]) if row else 0


def after(db: sqlite3.Connection, number: int, limit: int) -> list[Stored]:
    """Exchanges that were stored after `number`, in that order."""
    rows = db.execute(
        "SELECT number, api, operation, status FROM exchanges WHERE number > ? ORDER BY number LIMIT ?",
        (number, limit),
    )
    return [Stored(*row) for row in rows]


def raw_records(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, list[bytes]]:
    """The records of exchanges, by number."""
    found: dict[int, list[bytes]] = {}
    for start in range(0, len(numbers), IDS_AT_ONCE):
        some = numbers[start : start + IDS_AT_ONCE]
        marks = ", ".join("?" * len(some))
        rows = db.execute(
            f"""SELECT exchanges.number, witnesses.record FROM exchanges JOIN witnesses
            ON witnesses.number IN (exchanges.number, exchanges.second)
            WHERE exchanges.number IN ({marks}) ORDER BY exchanges.number, witnesses.number""",
            tuple(some),
        )
        for number, record in rows:
            found.setdefault(number, []).append(record)
    return found


def merged_into(db: sqlite3.Connection, apis: Iterable[int]) -> dict[int, int]:
    """Of these APIs, those that turned out to be another, and which."""
    known = set(apis)
    rows = db.execute("SELECT number, merged_into FROM apis WHERE merged_into IS NOT NULL")
    return {number: into for number, into in rows if number in known}


def states(db: sqlite3.Connection, api: int) -> dict[int, bytes]:
    """What was learnt of an API, packed, by row: several where APIs turned out to be one."""
    return dict(db.execute("SELECT number, state FROM learners WHERE api = ?", (api,)).fetchall())


def unpacked(state: bytes) -> bytes:
    """A state of `states`. Raises ValueError where it is damaged."""
    try:
        return zstandard.decompress(state)
    except zstandard.ZstdError as error:
        raise ValueError("not what was stored") from error


def rows_of(db: sqlite3.Connection, api: int) -> set[int]:
    """The rows of `states`."""
    return {number for (number,) in db.execute("SELECT number FROM learners WHERE api = ?", (api,))}


@dataclass(frozen=True, slots=True)
class State:
    """What was learnt of an API; it stands for these rows."""

    state: bytes
    rows: frozenset[int]


def save(db: Database, learnt: dict[int, State], last: int) -> dict[int, int | Exception] | None:
    """Writes states and the watermark together. By API its new row, or why it could not be written; None, and
    nothing, where an API was merged meanwhile."""
    if merged_into(db.conn, learnt):
        return None
    saved = {api: _save(db, api, one) for api, one in learnt.items()}
    db.conn.execute("DELETE FROM learning")
    db.conn.execute("INSERT INTO learning (watermark) VALUES (?)", (last,))
    return saved


def _save(db: Database, api: int, one: State) -> int | Exception:
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
        (api, one.version, one.time, document, json.dumps(one.changes)),
    )


def publication(db: sqlite3.Connection, api: int, version: str | None = None) -> Publication | None:
    """A published version, the newest if none is said."""
    row = db.execute(
        """SELECT version, time, document, changes FROM rebuilt
        WHERE api = ? AND version = coalesce(?, version) ORDER BY number DESC LIMIT 1""",
        (api, version),
    ).fetchone()
    if row is None:
        return None
    return Publication(row[0], row[1], json.loads(zstandard.decompress(row[2])), json.loads(row[3]))


def newest_version(db: sqlite3.Connection, api: int) -> str | None:
    row = db.execute(
        "SELECT version FROM rebuilt WHERE api = ? ORDER BY number DESC LIMIT 1", (api,)
    ).fetchone()
    return None if row is None else str(row[0])


def publications(db: sqlite3.Connection, api: int, limit: int, before: int | None) -> list[dict[str, Any]]:
    """Versions of an API without their documents, newest first; those before row `before`."""
    rows = db.execute(
        """SELECT number, version, time, changes FROM rebuilt WHERE api = ? AND number < ?
        ORDER BY number DESC LIMIT ?""",
        (api, before if before is not None else 2**63 - 1, limit),
    )
    return [dict(zip(("number", "version", "time", "changes"), row, strict=True)) for row in rows]


def count(db: sqlite3.Connection, api: int) -> int:
    """How many versions of an API were published."""
    return int(db.execute("SELECT count(*) FROM rebuilt WHERE api = ?", (api,)).fetchone()[0])


def decisions(db: sqlite3.Connection, api: int) -> list[tuple[int, int, dict[str, Any]]]:
    """(row, time, decision) in the order of deciding."""
    rows = db.execute("SELECT number, time, decision FROM decisions WHERE api = ? ORDER BY number", (api,))
    return [(number, time, json.loads(decision)) for number, time, decision in rows]


def decide(db: Database, api: int, decision: dict[str, Any], now: int) -> int:
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
    if count(db.conn, target) == 0:
        execute("UPDATE rebuilt SET api = ? WHERE api = ?", (target, source))


def name_of(db: sqlite3.Connection, api: int) -> str:
    return str(db.execute("SELECT name FROM apis WHERE number = ?", (api,)).fetchone()[0])
