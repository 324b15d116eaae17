"""Two APIs that turned out to be one: everything of the first becomes the other's, no count is lost."""

from __future__ import annotations

from sqlite_utils import Database

from server.store import rebuilt
from server.store.apis import LEARNED
from server.store.counters import move_counts
from server.store.rows import OperationKind


def merge_apis(db: Database, source: int, target: int) -> None:
    """The source's id stays valid and leads to the target. Its samples are to be judged again."""
    execute = db.conn.execute
    execute("UPDATE api_keys SET api = ?, state = ? WHERE api = ?", (target, LEARNED, source))
    execute("INSERT OR IGNORE INTO hosts SELECT ?, host, 0 FROM hosts WHERE api = ?", (target, source))
    execute("DELETE FROM hosts WHERE api = ?", (source,))
    _operations(db, source, target)
    _deviations(db, source, target)
    rebuilt.move(db, source, target)
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


def _operations(db: Database, source: int, target: int) -> None:
    rows = db.conn.execute(
        """SELECT ours.number, ours.kind, theirs.number, theirs.kind FROM operations ours
        LEFT JOIN operations theirs ON theirs.api = ? AND theirs.key = ours.key WHERE ours.api = ?""",
        (target, source),
    ).fetchall()
    for ours, our_kind, theirs, their_kind in rows:
        if theirs is None:
            db.conn.execute("UPDATE operations SET api = ? WHERE number = ?", (target, ours))
            continue
        if our_kind == OperationKind.SPECIFIED != their_kind:
            kind = OperationKind.SPECIFIED
            db.conn.execute("UPDATE operations SET kind = ? WHERE number = ?", (kind, theirs))
        db.conn.execute(
            "UPDATE exchanges SET operation = ? WHERE api = ? AND operation = ?", (theirs, source, ours)
        )
        move_counts(db, ours, theirs)


def _deviations(db: Database, source: int, target: int) -> None:
    same = """theirs.operation = ours.operation AND theirs.kind = ours.kind
        AND theirs."where" = ours."where" AND theirs.pointer = ours.pointer"""
    rows = db.conn.execute(
        f"""SELECT ours.number, theirs.number, ours.first_seen, ours.last_seen FROM deviations ours
        LEFT JOIN deviations theirs ON theirs.api = ? AND {same} WHERE ours.api = ?""",
        (target, source),
    ).fetchall()
    for ours, theirs, first, last in rows:
        if theirs is None:
            db.conn.execute("UPDATE deviations SET api = ? WHERE number = ?", (target, ours))
            continue
        db.conn.execute(
            """INSERT INTO deviation_calls SELECT ?, consumer, count FROM deviation_calls WHERE deviation = ?
            ON CONFLICT DO UPDATE SET count = count + excluded.count""",
            (theirs, ours),
        )
        db.conn.execute("DELETE FROM deviation_calls WHERE deviation = ?", (ours,))
        db.conn.execute(
            """UPDATE deviations SET first_seen = min(first_seen, ?), last_seen = max(last_seen, ?)
            WHERE number = ?""",
            (first, last, theirs),
        )
        db.conn.execute("DELETE FROM deviations WHERE number = ?", (ours,))
