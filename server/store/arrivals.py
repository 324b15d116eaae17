"""When exchanges were received, to the hour: by this they grow old, whatever time they say they are of.

Exchanges are numbered as they come, so one row an hour says it for all: the first number of that hour.
"""

from __future__ import annotations

from sqlite_utils import Database

from server.store.values import HOUR_NS

END = 2**63 - 1  # above every number


class Arrivals:
    """The writer's view."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._hour: int | None = None

    def note(self, now: int, first: int) -> None:
        """Exchanges numbered from `first` on arrive at `now`. Hours ahead go: the clock was set back."""
        hour = now // HOUR_NS
        if hour != self._hour:
            self._db.conn.execute("DELETE FROM arrivals WHERE hour > ?", (hour,))
            self._db.conn.execute("INSERT OR IGNORE INTO arrivals VALUES (?, ?)", (hour, first))
            self._hour = hour


def expire(db: Database, before: int) -> int:
    """The number from which on exchanges arrived at a time or later, or in the same hour. Earlier hours are
    forgotten: all that is numbered below came in one of them."""
    db.conn.execute("DELETE FROM arrivals WHERE hour < ?", (before // HOUR_NS,))
    (first,) = db.conn.execute("SELECT min(first) FROM arrivals").fetchone()
    return END if first is None else int(first)
