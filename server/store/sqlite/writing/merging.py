"""Merges an API into another: everything of the source becomes the target's, and no count is lost.

Operations and deviations get the numbers that they would have had in the target from the start. Ids that are
given up remain as aliases.
"""

from __future__ import annotations

import sqlite3

from server.store.keys import Numbered, id_of
from server.store.rows import OperationKind
from server.store.sqlite.writing.apis import LEARNED
from server.store.sqlite.writing.deviations import IDENTITY
from server.store.sqlite.writing.numbering import insert_once
from server.store.sqlite.writing.operations import move_counts

DEVIATION = ", ".join(f'"{name}"' for name in IDENTITY)
SEEN = ("message", "first_seen", "last_seen", "sample", "revision")


def merge_apis(db: sqlite3.Connection, source: int, target: int) -> None:
    """Merges the source into the target. Its id remains valid and leads to the target. The target's exchanges
    must be re-validated. Raises KeyCollision.
    """
    execute = db.execute
    execute("UPDATE api_keys SET api = ?, state = ? WHERE api = ?", (target, LEARNED, source))
    execute("INSERT OR IGNORE INTO hosts SELECT ?, host, 0 FROM hosts WHERE api = ?", (target, source))
    execute("DELETE FROM hosts WHERE api = ?", (source,))
    moved = _operations(db, source, target)
    _deviations(db, source, target)
    _lessons(db, source, target)
    execute("UPDATE OR IGNORE deviation_decisions SET api = ? WHERE api = ?", (target, source))
    execute("DELETE FROM deviation_decisions WHERE api = ?", (source,))
    _exchanges(db, source, target)
    for ours, theirs in moved:
        move_counts(db, ours, theirs)
    if execute("SELECT 1 FROM specs WHERE api = ?", (source,)).fetchone():
        execute("UPDATE apis SET revision = revision + 1 WHERE number = ?", (target,))
    execute("UPDATE specs SET api = ? WHERE api = ?", (target, source))
    execute("UPDATE apis SET merged_into = ? WHERE number = ? OR merged_into = ?", (target, source, source))


def _operations(db: sqlite3.Connection, source: int, target: int) -> list[tuple[int, int]]:
    """Each operation's number, and its number in the target, which is created without counts."""
    rows = db.execute(
        """SELECT number, key, kind, method, template, operation_id, deprecated FROM operations
        WHERE api = ?""",
        (source,),
    ).fetchall()
    moved = []
    for ours, key, kind, method, template, operation_id, deprecated in rows:
        more = {
            "kind": kind,
            "method": method,
            "template": template,
            "operation_id": operation_id,
            "deprecated": deprecated,
        }
        theirs = insert_once(db, Numbered.OPERATION, {"api": target, "key": key}, more)
        if kind == OperationKind.SPECIFIED:
            db.execute("UPDATE operations SET kind = ? WHERE number = ?", (kind, theirs))
        moved.append((ours, theirs))
    return moved


def _exchanges(db: sqlite3.Connection, source: int, target: int) -> None:
    """Moves exchanges. The ones that no specification describes need no re-validation: their verdict is the
    same.
    """
    db.execute(
        """UPDATE exchanges SET api = ?1, operation = coalesce((SELECT theirs.number FROM operations AS ours
        JOIN operations AS theirs ON theirs.api = ?1 AND theirs.key = ours.key
        WHERE ours.number = exchanges.operation), operation), revision = CASE
        WHEN EXISTS (SELECT 1 FROM specs WHERE api IN (?1, ?2)) THEN -1
        ELSE (SELECT revision FROM apis WHERE number = ?1) END WHERE api = ?2""",
        (target, source),
    )


def _deviations(db: sqlite3.Connection, source: int, target: int) -> None:
    rows = db.execute(
        f"SELECT number, {DEVIATION}, {', '.join(SEEN)} FROM deviations WHERE api = ?", (source,)
    ).fetchall()
    for ours, *row in rows:
        key = dict(zip(IDENTITY, row[: len(IDENTITY)], strict=True))
        seen = dict(zip(SEEN, row[len(IDENTITY) :], strict=True))
        theirs = insert_once(db, Numbered.DEVIATION, {"api": target, **key}, seen)
        db.execute(
            """INSERT INTO deviation_calls SELECT ?, consumer, count FROM deviation_calls WHERE deviation = ?
            ON CONFLICT DO UPDATE SET count = count + excluded.count""",
            (theirs, ours),
        )
        db.execute("DELETE FROM deviation_calls WHERE deviation = ?", (ours,))
        db.execute(
            """UPDATE deviations SET first_seen = min(first_seen, ?), last_seen = max(last_seen, ?)
            WHERE number = ?""",
            (seen["first_seen"], seen["last_seen"], theirs),
        )
        db.execute("DELETE FROM deviations WHERE number = ?", (ours,))
        _alias(db, Numbered.DEVIATION, ours, theirs)


def _alias(db: sqlite3.Connection, kind: Numbered, ours: int, theirs: int) -> None:
    """Makes the source's id and its aliases lead to the target."""
    db.execute("UPDATE aliases SET number = ? WHERE kind = ? AND number = ?", (theirs, kind, ours))
    db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?, ?)", (kind, id_of(ours), theirs))


def _lessons(db: sqlite3.Connection, source: int, target: int) -> None:
    """Moves learned states and decisions to the target, and versions if it has none."""
    db.execute("UPDATE learners SET api = ? WHERE api = ?", (target, source))
    db.execute("UPDATE decisions SET api = ? WHERE api = ?", (target, source))
    if not db.execute("SELECT 1 FROM rebuilt WHERE api = ? LIMIT 1", (target,)).fetchone():
        db.execute("UPDATE rebuilt SET api = ? WHERE api = ?", (target, source))
