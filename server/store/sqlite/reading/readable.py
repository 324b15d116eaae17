"""Converts rows to values. An unreadable row is left out and counted, so that it does not block the
others.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

import zstandard

from agent.wire import Record, WireError, decode_record
from server.analysis.json import Json, JsonObject
from server.analysis.specs.deviation import DeviationIdentity
from server.store.parts import StoredPart
from server.store.rows import AgentLedger, Cursor, Listed

T = TypeVar("T")

END = 2**63 - 1
NEWEST: Cursor = (END, END)
SPARE = 100  # extra rows fetched per page to replace unreadable ones
MOST_UNPACKED = 256 * 1024 * 1024  # maximum unpacked size in bytes
UNREADABLE = (ValueError, TypeError, LookupError, WireError, zstandard.ZstdError)


class Readable:
    """`unreadable` is called with the part of each row that cannot be read."""

    def __init__(self, unreadable: Callable[[StoredPart], None]) -> None:
        self._unreadable = unreadable

    def each(
        self, part: StoredPart, rows: Iterable[sqlite3.Row], build: Callable[[sqlite3.Row], T]
    ) -> Iterator[T]:
        for row in rows:
            try:
                yield build(row)
            except UNREADABLE:
                self._unreadable(part)

    def one(self, part: StoredPart, row: sqlite3.Row | None, build: Callable[[sqlite3.Row], T]) -> T | None:
        return None if row is None else next(self.each(part, [row], build), None)

    def records(self, raws: Iterable[bytes | None]) -> Sequence[Record]:
        """The packed records that can be read."""
        found = []
        for raw in raws:
            try:
                if raw is not None:
                    found.append(decode_record(raw))
            except UNREADABLE:
                self._unreadable(StoredPart.RECORDS)
        return found


def piece(found: Iterable[T], limit: int, key: Callable[[T], Cursor]) -> Listed[T]:
    """The first rows as a page, and where the next page begins."""
    rows = [*islice(found, limit + 1)]
    return Listed(rows[:limit], key(rows[limit - 1]) if len(rows) > limit else None)


def json_object(text: str) -> JsonObject:
    """Raises ValueError."""
    found: Json = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def json_objects(text: str) -> Sequence[JsonObject]:
    """Raises ValueError."""
    found: Json = json.loads(text)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError("not objects")
    return [one for one in found if isinstance(one, dict)]


def texts(text: str) -> Sequence[str]:
    """Raises ValueError."""
    found: Json = json.loads(text)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError("not texts")
    return [one for one in found if isinstance(one, str)]


def agent_ledger(text: str) -> AgentLedger:
    """Raises ValueError."""
    return {
        part: {bucket: _count(count) for bucket, count in counts.items()}
        for part, counts in json_object(text).items()
        if isinstance(counts, dict)
    }


def _count(value: Json) -> int:
    if not isinstance(value, int):
        raise ValueError("not a count")
    return value


def deviations(text: str | None) -> Mapping[DeviationIdentity, str]:
    """The deviations of an exchange, with their messages. Raises ValueError, TypeError."""
    found = json.loads(text) if text else []
    return {DeviationIdentity(*identity): message for *identity, message in found}


def unpacked(raw: bytes) -> bytes:
    """Decompresses a value. Raises zstandard.ZstdError, and ValueError if it exceeds the maximum size."""
    with zstandard.ZstdDecompressor().stream_reader(raw) as reader:
        found = reader.read(MOST_UNPACKED + 1)
    if len(found) > MOST_UNPACKED:
        raise ValueError("too large")
    return found
