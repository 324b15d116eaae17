"""Retention: exchanges are deleted after a number of days since their arrival (whatever their own time) or
beyond a number of bytes, whichever comes first. Counters remain.

Exchanges are numbered in order of arrival, so one row per hour with the first number is enough to find their
age.
"""

from __future__ import annotations

import sqlite3

from server.store.sqlite.writing.lone_views import KEPT_NS, detach
from server.store.values import DAY_NS, HOUR_NS, RetentionBounds

CHUNK = 500  # exchanges deleted in one piece of work, so that ingest continues in between
PAGES = 2000  # pages returned in one piece of work
HOURLY_DAYS = 30  # counters are kept by hour for this long, then by day
END = 2**63 - 1  # above every number


class SqliteRetention:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def used_bytes(self) -> int:
        pages, free, size = map(self._pragma, ("page_count", "freelist_count", "page_size"))
        return (pages - free) * size

    def _pragma(self, name: str) -> int:
        return int(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def drop_some(self, bounds: RetentionBounds, now: int, target: int) -> int:
        dropped = self.drop_oldest(CHUNK, below=self._expired(now - int(bounds.days * DAY_NS), now))
        excess = self.used_bytes() - target
        if not dropped and excess > 0:
            dropped = self.drop_oldest(CHUNK, size=excess)
        return dropped

    def _expired(self, before: int, now: int) -> int:
        """The first number of the exchanges that arrived at or after a time, rounded down to the hour.
        Removes the rows of hours before that, unless lone views of theirs are kept.
        """
        hour = before // HOUR_NS
        self._db.execute("DELETE FROM arrivals WHERE hour < ?", (min(hour, (now - KEPT_NS) // HOUR_NS - 1),))
        (first,) = self._db.execute("SELECT min(first) FROM arrivals WHERE hour >= ?", (hour,)).fetchone()
        return END if first is None else int(first)

    def drop_oldest(self, limit: int, below: int = END, size: int | None = None) -> int:
        """Deletes at most `limit` of the oldest exchanges numbered below `below`, and stops once `size` bytes
        are freed. Returns how many were deleted.
        """
        rows = self._db.execute(
            """SELECT number, second, (SELECT sum(length(record)) FROM witnesses
            WHERE witnesses.number IN (exchanges.number, second)) FROM exchanges
            WHERE number < ? ORDER BY number LIMIT ?""",
            (below, limit),
        )
        gone: list[tuple[int]] = []
        witnesses: list[tuple[int]] = []
        freed = 0
        for number, second, held in rows:
            if size is not None and freed >= size:
                break
            gone.append((number,))
            witnesses += [(one,) for one in (number, second) if one is not None]
            freed += held
        self._db.executemany("DELETE FROM exchanges WHERE number = ?", gone)
        detach(self._db, (number for (number,) in gone))
        self._db.executemany("DELETE FROM witnesses WHERE number = ?", witnesses)
        return len(gone)

    def fold_hours(self, bounds: RetentionBounds, now: int) -> None:
        """Skips hours that still have exchanges, as imports may leave: an exchange is subtracted from the
        hour it was counted in.
        """
        kept_days = max(HOURLY_DAYS, bounds.days + 1)
        before = (now - int(kept_days * DAY_NS)) // DAY_NS * 24
        past = f"""hour < ?1 AND hour % 24
            AND hour NOT IN (SELECT time / {HOUR_NS} FROM exchanges WHERE time < ?1 * {HOUR_NS})"""
        self._db.execute(
            f"""INSERT INTO calls
            SELECT operation, hour / 24 * 24, consumer, status, verdict, fault, sum(count) FROM calls
            WHERE {past} GROUP BY operation, hour / 24, consumer, status, verdict, fault
            ON CONFLICT DO UPDATE SET count = count + excluded.count""",
            (before,),
        )
        self._db.execute(f"DELETE FROM calls WHERE {past}", (before,))

    def release_space(self) -> int:
        self._db.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()
        return self._pragma("freelist_count")
