"""The spool's tables: all its SQL, as functions over one connection, without the meaning of rows.

A parcel's number is the place of its first record among all that were ever kept; it takes as many places
as it has records.

Of a damaged page SQLite reads any values in any column. Each row is checked as it is read: functions raise
OperationalError if a value is not the spool's.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from agent.ship.epochs import Epoch
from agent.ship.parcel import BatchAddress, LedgerMap, Parcel

R = TypeVar("R", bound=tuple[object, ...])

Execute = Callable[..., sqlite3.Cursor]
Row = tuple[int, str, int, int, int, int, bytes]
"""Number, epoch, wire version, records, bytes unpacked, wall time in ns, frame."""
Sent = tuple[BatchAddress, int, int]
"""The address of a batch, the place of its first record, and the place after its last."""

APPLICATION = 0x73707470  # "sptp", in the file's header
FORMAT = 1
SCHEMA = """
CREATE TABLE epochs (
    epoch TEXT PRIMARY KEY, agent TEXT NOT NULL, next_seq INTEGER NOT NULL, ledger TEXT NOT NULL,
    at INTEGER NOT NULL, ended INTEGER NOT NULL
) STRICT;
CREATE TABLE parcels (
    number INTEGER PRIMARY KEY, epoch TEXT NOT NULL, version INTEGER NOT NULL, records INTEGER NOT NULL,
    size INTEGER NOT NULL, at INTEGER NOT NULL, frame BLOB NOT NULL
) STRICT;
CREATE TABLE sent (
    agent TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, head BLOB NOT NULL,
    first INTEGER NOT NULL, beyond INTEGER NOT NULL
) STRICT;
"""
LATER = (
    "CREATE TABLE IF NOT EXISTS destination (server TEXT NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS revision (number INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS stopped (at INTEGER NOT NULL) STRICT",
)
"""Separate, since older files of this format lack them: they have no server, revision 0, and no clean end."""

PAGE, OVERFLOW_HEAD = 4096, 4  # bytes, as https://sqlite.org/fileformat2.html#ovflpgs has them
POINTERS = PAGE // 5  # pages for which a file with auto_vacuum has one more
PAGES_BESIDE = 5  # the row's own, those of the tree above it, and the epoch's

_LIMIT = 2**62  # any number, time or size of ours


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < _LIMIT


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and 0 < value < _LIMIT


_ROW = (_is_positive, _is_text, _is_positive, _is_positive, _is_count, _is_count, _is_bytes)
_EPOCH = (_is_text, _is_text, _is_positive, _is_text, _is_count, _is_count)
_SENT = (_is_text, _is_text, _is_positive, _is_bytes, _is_positive, _is_positive)
_ROWS = "SELECT number, epoch, version, records, size, at, frame FROM parcels WHERE number >= ?"


def revision(execute: Execute) -> int:
    """The number of transactions so far; 0 if the file does not count them, or is empty."""
    if not execute("SELECT count(*) FROM sqlite_schema WHERE name = 'revision'").fetchone()[0]:
        return 0
    found = execute("SELECT number FROM revision").fetchone()
    return 0 if found is None else int(_checked(found, _is_count)[0])


def set_revision(execute: Execute, number: int) -> None:
    execute("REPLACE INTO revision (rowid, number) VALUES (1, ?)", (number,))


def _checked(row: R, *checks: Callable[[object], bool]) -> R:
    """The row, if each of its values is sound."""
    if not all(is_valid(value) for is_valid, value in zip(checks, row, strict=True)):
        raise sqlite3.OperationalError("a row is damaged")
    return row


def stopped(execute: Execute) -> int | None:
    """When the last start that captured ended properly (wall clock in ns); None if one has captured since."""
    found = execute("SELECT at FROM stopped").fetchone()
    return None if found is None else int(found[0])


def set_stopped(execute: Execute, at: int | None) -> None:
    execute("DELETE FROM stopped")
    if at is not None:
        execute("INSERT INTO stopped VALUES (?)", (at,))


def used_bytes(execute: Execute) -> int:
    """Bytes in use in the file."""
    pages, free, size = (
        execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def bytes_of(row: Row) -> int:
    """The most bytes that a row, and what is written beside it, can add to the file."""
    pages = len(row[-1]) // (PAGE - OVERFLOW_HEAD) + PAGES_BESIDE
    return (pages + pages // POINTERS) * PAGE


def waiting(execute: Execute, since: int = 0) -> dict[str, int]:
    """Records on disk by epoch, of all parcels that end after `since`."""
    found: Counter[str] = Counter()
    for row in execute("SELECT number, epoch, records FROM parcels"):
        number, epoch, records = _checked(row, _is_positive, _is_text, _is_positive)
        if number + records > since:
            found[epoch] += records
    return found


def next_place(execute: Execute) -> int:
    """The place after the last record."""
    (found,) = execute("SELECT coalesce(max(number + records), 1) FROM parcels").fetchone()
    return int(found)


def total(execute: Execute) -> tuple[int, int]:
    """The number of records on disk, and the time of the newest (wall clock in ns)."""
    records, newest = execute("SELECT sum(records), max(at) FROM parcels").fetchone()
    return records or 0, newest or 0


def add(execute: Execute, row: Row) -> None:
    execute("INSERT INTO parcels VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def oldest(execute: Execute, since: int) -> tuple[int, str, int, int] | None:
    """Number, epoch, records and time of the first parcel at or after `since`."""
    query = "SELECT number, epoch, records, at FROM parcels WHERE number >= ? ORDER BY number LIMIT 1"
    found: tuple[int, str, int, int] | None = execute(query, (since,)).fetchone()
    return None if found is None else _checked(found, _is_positive, _is_text, _is_positive, _is_count)


def drop(execute: Execute, number: int) -> None:
    execute("DELETE FROM parcels WHERE number = ?", (number,))


def drop_before(execute: Execute, place: int) -> None:
    """Deletes all records before a place, and the address of a batch there."""
    execute("DELETE FROM parcels WHERE number < ?1 AND number + records <= ?1", (place,))
    execute("DELETE FROM sent WHERE beyond <= ?", (place,))


def between(execute: Execute, first: int, until: int) -> list[Row]:
    return [
        _checked(row, *_ROW) for row in execute(f"{_ROWS} AND number < ? ORDER BY number", (first, until))
    ]


def batch(execute: Execute, since: int, most_records: int, most_bytes: int) -> list[Row]:
    """The oldest rows that fit a batch: of one epoch and version, at least one. Their places must be
    contiguous (none dropped for its age): a parcel covers all places from its first on.
    """
    rows: list[Row] = []
    records = size = 0
    found = execute(f"{_ROWS} ORDER BY number", (since,))
    for row in found:
        _checked(row, *_ROW)
        records, size = records + row[3], size + row[4]
        if rows and (
            row[:3] != (rows[-1][0] + rows[-1][3], *rows[0][1:3])
            or records > most_records
            or size > most_bytes
        ):
            break
        rows.append(row)
    found.close()
    return rows


def replace_rows(execute: Execute, first: int, until: int, parcels: Iterable[Parcel]) -> None:
    """Replaces the rows from `first` on by these parcels."""
    execute("DELETE FROM parcels WHERE number >= ? AND number < ?", (first, until))
    for one in parcels:
        assert one.first is not None
        assert one.at is not None
        add(execute, (one.first, one.epoch, one.version, one.records, one.size, one.at, one.frames))


def parcel_of(rows: Sequence[Row], agent: str) -> Parcel:
    first, epoch, version = rows[0][:3]
    return Parcel(
        agent=agent,
        epoch=epoch,
        version=version,
        records=sum(row[3] for row in rows),
        size=sum(row[4] for row in rows),
        frames=b"".join(row[6] for row in rows),
        first=first,
        at=rows[0][5],
    )


def epochs(execute: Execute, records: Mapping[str, int]) -> dict[str, Epoch]:
    """All epochs, oldest first, with their records on disk. Raises ValueError and TypeError if the file is
    damaged.
    """
    rows = execute("SELECT epoch, agent, next_seq, ledger, at, ended FROM epochs ORDER BY at")
    return {
        name: Epoch(agent, seq, _ledger(ledger), at, bool(ended), records.get(name, 0))
        for name, agent, seq, ledger, at, ended in (_checked(row, *_EPOCH) for row in rows)
    }


def _ledger(text: str) -> LedgerMap:
    """Counts by bucket, as they were written. Raises ValueError and TypeError if they are invalid."""
    ledger: LedgerMap = {part: dict(counts) for part, counts in dict(json.loads(text)).items()}
    for bucket, count in (item for counts in ledger.values() for item in counts.items()):
        if not (_is_text(bucket) and bucket.isascii() and _is_count(abs(count))):
            raise ValueError("no counts")
    return ledger


def write_epoch(execute: Execute, name: str, epoch: Epoch) -> None:
    ledger = json.dumps(epoch.ledger)
    row = (name, epoch.agent, epoch.next_seq, ledger, epoch.at, epoch.ended)
    execute("REPLACE INTO epochs VALUES (?, ?, ?, ?, ?, ?)", row)


def drop_epoch(execute: Execute, name: str) -> None:
    execute("DELETE FROM epochs WHERE epoch = ?", (name,))


def sent(execute: Execute) -> Sent | None:
    """The batch being sent when the file was last written."""
    found = execute("SELECT agent, epoch, seq, head, first, beyond FROM sent").fetchone()
    if found is None:
        return None
    *address, first, until = _checked(found, *_SENT)
    return BatchAddress(*address), first, until


def write_sent(execute: Execute, out: Sent | None) -> None:
    execute("DELETE FROM sent")
    if out is None:
        return
    address, first, until = out
    row = (address.agent, address.epoch, address.seq, address.head, first, until)
    execute("INSERT INTO sent VALUES (?, ?, ?, ?, ?, ?)", row)


def destination(execute: Execute) -> str | None:
    """The server that the records are for."""
    found = execute("SELECT server FROM destination").fetchone()
    return None if found is None else found[0]


def set_destination(execute: Execute, server: str | None) -> None:
    execute("DELETE FROM destination")
    execute("INSERT INTO destination VALUES (?)", (server,))
