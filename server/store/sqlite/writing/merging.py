"""Two APIs that turned out to be one: everything of the first becomes the other's, no count is lost."""

from __future__ import annotations

import sqlite3

from server.store.rows import OperationKind
from server.store.sqlite.writing.apis import LEARNED
from server.store.sqlite.writing.operations import move_counts


def merge_apis(db: sqlite3.Connection, source: int, target: int) -> None:
    """The source's id stays valid and leads to the target. Its samples are to be judged again."""
    execute = db.execute
    execute("UPDATE api_keys SET api = ?, state = ? WHERE api = ?", (target, LEARNED, source))
    execute("INSERT OR IGNORE INTO hosts SELECT ?, host, 0 FROM hosts WHERE api = ?", (target, source))
    execute("DELETE FROM hosts WHERE api = ?", (source,))
    _operations(db, source, target)
    _deviations(db, source, target)
    _lessons(db, source, target)
    execute("UPDATE OR IGNORE deviation_decisions SET api = ? WHERE api = ?", (target, source))
    execute("DELETE FROM deviation_decisions WHERE api = ?", (source,))
    # What no specification describes is judged alike before and after: nothing to do again.
    execute(
        """UPDATE exchanges SET api = ?1, revision = CASE
        WHEN EXISTS (SELECT 1 FROM specs WHERE api IN (?1, ?2)) THEN -1
        ELSE (SELECT revision FROM apis WHERE number = ?1) END WHERE api = ?2""",
        (target, source),
    )
    if execute("SELECT 1 FROM specs WHERE api = ?", (source,)).fetchone():
        execute("UPDATE apis SET revision = revision + 1 WHERE number = ?", (target,))
    execute("UPDATE specs SET api = ? WHERE api = ?", (target, source))
    execute("UPDATE apis SET merged_into = ? WHERE number = ? OR merged_into = ?", (target, source, source))


def _operations(db: sqlite3.Connection, source: int, target: int) -> None:
    rows = db.execute(
        """SELECT ours.number, ours.kind, theirs.number, theirs.kind FROM operations ours
        LEFT JOIN operations theirs ON theirs.api = ? AND theirs.key = ours.key WHERE ours.api = ?""",
        (target, source),
    ).fetchall()
    for ours, our_kind, theirs, their_kind in rows:
        if theirs is None:
            db.execute("UPDATE operations SET api = ? WHERE number = ?", (target, ours))
            continue
        if our_kind == OperationKind.SPECIFIED != their_kind:
            kind = OperationKind.SPECIFIED
            db.execute("UPDATE operations SET kind = ? WHERE number = ?", (kind, theirs))
        db.execute(
            "UPDATE exchanges SET operation = ? WHERE api = ? AND operation = ?", (theirs, source, ours)
        )
        move_counts(db, ours, theirs)


def _deviations(db: sqlite3.Connection, source: int, target: int) -> None:
    same = """theirs.operation = ours.operation AND theirs.kind = ours.kind
        AND theirs."where" = ours."where" AND theirs.pointer = ours.pointer"""
    rows = db.execute(
        f"""SELECT ours.number, theirs.number, ours.first_seen, ours.last_seen FROM deviations ours
        LEFT JOIN deviations theirs ON theirs.api = ? AND {same} WHERE ours.api = ?""",
        (target, source),
    ).fetchall()
    for ours, theirs, first, last in rows:
        if theirs is None:
            db.execute("UPDATE deviations SET api = ? WHERE number = ?", (target, ours))
            continue
        db.execute(
            """INSERT INTO deviation_calls SELECT ?, consumer, count FROM deviation_calls WHERE deviation = ?
            ON CONFLICT DO UPDATE SET count = count + excluded.count""",
            (theirs, ours),
        )
        db.execute("DELETE FROM deviation_calls WHERE deviation = ?", (ours,))
        db.execute(
            """UPDATE deviations SET first_seen = min(first_seen, ?), last_seen = max(last_seen, ?)
            WHERE number = ?""",
            (first, last, theirs),
        )
        db.execute("DELETE FROM deviations WHERE number = ?", (ours,))


def _lessons(db: sqlite3.Connection, source: int, target: int) -> None:
    """What was learnt and decided becomes the other's, as do versions if it has none."""
    db.execute("UPDATE learners SET api = ? WHERE api = ?", (target, source))
    db.execute("UPDATE decisions SET api = ? WHERE api = ?", (target, source))
    if not db.execute("SELECT 1 FROM rebuilt WHERE api = ? LIMIT 1", (target,)).fetchone():
        db.execute("UPDATE rebuilt SET api = ? WHERE api = ?", (target, source))
