"""Counts anew what depends on specifications, where the counters may not say which exchanges they contain."""

from __future__ import annotations

import sqlite3

STALE = """SELECT DISTINCT api FROM exchanges JOIN apis ON apis.number = api
    WHERE exchanges.revision <> apis.revision"""
OPERATIONS = "SELECT number FROM operations WHERE api = ?"


def count_stale_anew(db: sqlite3.Connection) -> None:
    """Removes the verdicts, deviations and coverage of the APIs with exchanges that must be re-validated, and
    makes the server re-validate all of their exchanges.
    """
    for api in db.execute(STALE).fetchall():
        db.execute(
            "DELETE FROM deviation_calls WHERE deviation IN (SELECT number FROM deviations WHERE api = ?)",
            api,
        )
        db.execute("DELETE FROM deviations WHERE api = ?", api)
        db.execute(f"DELETE FROM verdicts WHERE operation IN ({OPERATIONS})", api)
        db.execute(f"DELETE FROM coverage WHERE operation IN ({OPERATIONS})", api)
        db.execute("UPDATE exchanges SET revision = -1 WHERE api = ?", api)
