"""What may stay: whole exchanges for so many days from their arrival (however old what they tell of is) and
so many bytes, whichever ends first. Counters stay."""

from __future__ import annotations

from dataclasses import dataclass

from sqlite_utils import Database

from server.store.arrivals import expire
from server.store.exchanges import OpenExchanges
from server.store.values import HOUR_NS

CHUNK = 500  # exchanges deleted in one piece of work, so that ingest goes on in between
PAGES = 2000  # pages given back in one piece of work
LOW = 0.9  # once over the bound, go down to this part of it: not one by one
HOURLY_DAYS = 30  # counters are kept by the hour for so long, then by the day
DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Bounds:
    days: float
    bytes: int


def used_bytes(db: Database) -> int:
    """Bytes of the file that hold something."""
    pages, free, size = (_pragma(db, name) for name in ("page_count", "freelist_count", "page_size"))
    return (pages - free) * size


def _pragma(db: Database, name: str) -> int:
    return int(db.conn.execute(f"PRAGMA {name}").fetchone()[0])


def drop_some(db: Database, exchanges: OpenExchanges, bounds: Bounds, now: int, target: int) -> int:
    """Deletes a chunk of the exchanges that came too long ago (to the hour), or of the first that came while
    more than `target` bytes are used; how many."""
    dropped = exchanges.drop_oldest(CHUNK, below=expire(db, now - int(bounds.days * DAY_NS)))
    excess = used_bytes(db) - target
    if not dropped and excess > 0:
        dropped = exchanges.drop_oldest(CHUNK, size=excess)
    return dropped


def fold_hours(db: Database, bounds: Bounds, now: int) -> None:
    """Counters of hours that are long past are added up by day. Not of hours that still have samples, as
    imports may leave: an exchange takes its count back from the hour it was counted in.
    """
    kept_days = max(HOURLY_DAYS, bounds.days + 1)
    before = (now - int(kept_days * DAY_NS)) // DAY_NS * 24
    past = f"""hour < ?1 AND hour % 24
        AND hour NOT IN (SELECT time / {HOUR_NS} FROM exchanges WHERE time < ?1 * {HOUR_NS})"""
    db.conn.execute(
        f"""INSERT INTO calls SELECT operation, hour / 24 * 24, consumer, status, sum(count) FROM calls
        WHERE {past} GROUP BY operation, hour / 24, consumer, status
        ON CONFLICT DO UPDATE SET count = count + excluded.count""",
        (before,),
    )
    db.conn.execute(f"DELETE FROM calls WHERE {past}", (before,))


def give_back(db: Database) -> int:
    """Returns free pages at the file's end to the file system; how many are left to return."""
    db.conn.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()
    return _pragma(db, "freelist_count")
