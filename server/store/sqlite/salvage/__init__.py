"""Copies all readable rows of a damaged database to a new one.

If part of the schema is lost, a copy of it says where tables begin (`reviving`). Tables are read in key
order, skipping unreadable pages (`scan`). A row is kept if each value is valid for its column (`checks`).
References to lost rows are repaired or removed (`mending`).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from server.store.errors import StoreUnavailable
from server.store.sqlite.connection import FILE, LOCK, locked, opened
from server.store.sqlite.salvage.checks import checked
from server.store.sqlite.salvage.mending import mend
from server.store.sqlite.salvage.reviving import lost_schema, revive
from server.store.sqlite.salvage.scan import Row, Scan, ScannedTable, total
from server.store.sqlite.schema import migrate_like
from server.store.sqlite.schema_copy import SUFFIX

AT_ONCE = 1000  # rows per insert
NAMES = {
    "apis": "APIs",
    "api_keys": "keys of APIs",
    "hosts": "hosts of APIs",
    "operations": "operations",
    "consumers": "consumers",
    "aliases": "earlier ids",
    "calls": "counts of calls",
    "latency": "counts of latency",
    "verdicts": "counts of verdicts",
    "sub_operations": "counts of sub-operations",
    "deviations": "deviations",
    "deviation_calls": "counts of deviations",
    "deviation_decisions": "decisions on deviations",
    "exchanges": "exchanges",
    "witnesses": "records of exchanges",
    "specs": "specifications",
    "epochs": "starts of agents",
    "batches": "batches seen",
    "ledger": "counts of the ledger",
    "coverage": "counts of coverage",
    "parts": "names in counts of coverage",
    "learning": "places in learning",
    "learners": "learned APIs",
    "rebuilt": "rebuilt documents",
    "decisions": "decisions on rebuilt documents",
    "arrivals": "hours of arrival",
    "numbers": "next numbers",
    "held": "views that wait for another",
    "alone": "views kept for a late other one",
    "watched": "watched addresses",
    "pods": "pods by address",
    "routes": "hosts that lead to workloads",
    "tokens": "tokens of clusters",
}
"""The rows of each table, as named in messages."""


@dataclass(frozen=True, slots=True)
class Salvaged:
    """The result for one table; `lost` is None if the number of its rows is unknown."""

    table: str
    kept: int
    lost: int | None

    def __str__(self) -> str:
        lost = "an unknown number" if self.lost is None else f"{self.lost:,}"
        return f"{NAMES[self.table]}: {self.kept:,} kept, {lost} lost"


def salvage(data: Path, now: Callable[[], float] = time.time) -> tuple[Path, list[Salvaged]] | None:
    """Replaces a damaged database in a directory by its readable rows.

    Returns the path of the damaged file and the result for each table; None if nothing is damaged. Raises
    StoreUnavailable if the database is in use, nothing can be read, or there is no room.
    """
    path = data / FILE
    if not path.exists():
        return None
    lock = locked(data / LOCK)
    fresh, revived = path.with_suffix(".salvaged"), path.with_suffix(".revived")
    try:
        source = _readable(path, revived)
        found = _copied(source, fresh)
        if found is None:
            return None
        if source is revived and not any(one.kept for one in found):
            raise StoreUnavailable("nothing can be salvaged: none of its tables can be read")
        kept = path.with_name(f"{FILE}.damaged-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now()))}")
        for end in ("", "-wal"):
            if (old := Path(f"{path}{end}")).exists():
                old.rename(f"{kept}{end}")
        for end in (f"{FILE}-shm", path.with_suffix(SUFFIX).name):
            path.with_name(end).unlink(missing_ok=True)
        fresh.rename(path)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StoreUnavailable(f"cannot salvage {path}: {reason}") from error
    finally:
        for one in (fresh, revived):
            for end in ("", "-wal", "-shm"):
                Path(f"{one}{end}").unlink(missing_ok=True)
        os.close(lock)
    return kept, found


def _readable(path: Path, revived: Path) -> Path:
    """The database to read from: this one, or a revived copy if part of its schema is lost. Raises OSError,
    sqlite3.Error.
    """
    lost = lost_schema(path)
    if lost is None:
        return path
    _made(revived)
    revive(path, lost, revived)
    return revived


def _made(path: Path) -> None:
    """Creates an empty file that only the owner can read."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _copied(path: Path, fresh: Path) -> list[Salvaged] | None:
    _made(fresh)
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.text_factory = bytes
        old.execute("PRAGMA writable_schema = ON")  # without this, nothing of a truncated file can be read
        with closing(opened(fresh)) as connection:
            migrate_like(connection, _migrated(old))
            _check_schema(old)
            known = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            tables = [ScannedTable.of(connection, name) for name in NAMES if name in known]
            connection.execute("BEGIN")
            for table in tables:  # a migration may have created some already
                connection.execute(f"DELETE FROM {table.name}")
            found = [_table(old, connection, table) for table in tables]
            mended = mend(connection, int(time.time_ns()))
            connection.execute("COMMIT")
            whole = not mended and all(one.lost == 0 for one in found)
        if whole and _intact(old):
            return None
    return [_after_mending(one, mended) for one in found]


def _after_mending(one: Salvaged, mended: Mapping[str, int]) -> Salvaged:
    more = mended.get(one.table, 0)
    return Salvaged(one.table, one.kept - more, None if one.lost is None else one.lost + more)


def _intact(db: sqlite3.Connection) -> bool:
    try:
        return bool(db.execute("PRAGMA integrity_check(1)").fetchone()[0] == b"ok")
    except sqlite3.Error:
        return False


def _check_schema(db: sqlite3.Connection) -> None:
    """Raises StoreUnavailable."""
    try:
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"nothing can be salvaged: where its tables begin cannot be read, and there is no copy ({error})"
        ) from error


def _migrated(db: sqlite3.Connection) -> frozenset[str] | None:
    """The migrations that created the old tables; None if that cannot be read."""
    try:
        rows = db.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = 'spectap'").fetchall()
        return frozenset(name.decode() for (name,) in rows)
    except (sqlite3.Error, UnicodeDecodeError):
        return None


def _table(old: sqlite3.Connection, new: sqlite3.Connection, table: ScannedTable) -> Salvaged:
    table = table.within(old, new)
    scan = Scan(old, table)
    marks = ", ".join("?" * len(table.columns))
    insert = f"INSERT OR IGNORE INTO {table.name} ({', '.join(table.columns)}) VALUES ({marks})"
    read = refused = 0
    waiting: list[Row] = []
    for raw in scan:
        read += 1
        row = checked(table, raw)
        if row is None:
            refused += 1
        else:
            waiting.append(row)
        if len(waiting) == AT_ONCE:
            new.executemany(insert, waiting)
            waiting.clear()
    new.executemany(insert, waiting)
    (kept,) = new.execute(f"SELECT count(*) FROM {table.name}").fetchone()
    before = total(old, table.name) if scan.damaged else read
    return Salvaged(table.name, kept, None if before is None else max(before - kept, refused))
