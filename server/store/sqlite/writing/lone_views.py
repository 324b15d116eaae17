"""Lone views, found by mark or by likeness."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TypeVar

from msgspec.structs import replace

from agent.wire import Body, Record, Request, Response, decode_record, pack_record
from server.analysis.clocks import SKEW_NS, SLACK_NS
from server.analysis.likeness import LONGEST_NS, likeness_of
from server.analysis.witnesses import View, mark_of, view_of
from server.store.sqlite.reading.readable import UNREADABLE, Readable
from server.store.values import DAY_NS, HOUR_NS, LoneView

MARKS_AT_ONCE = 500
MAX_NEAR = 64  # maximum views of one mark that are compared: the nearest in time, half of them earlier
EXPIRED_AT_ONCE = 10_000
ROOM = 50_000  # of all lone views, beyond which those whose other end no known agent watches are not added
UNLIKELY_ROOM = 10_000  # the same for those whose other half is unlikely to arrive
KEPT_NS = DAY_NS  # after arrival, rounded to the hour


class SqliteLoneViews:
    """`_count` is counted when views expire and updated when they are added or removed."""

    def __init__(self, db: sqlite3.Connection, readable: Readable) -> None:
        self._db = db
        self._readable = readable
        self.forget()

    def add(self, views: Iterable[LoneView]) -> None:
        rows = [*views]
        self._count += len(rows)
        self._unplaced += sum(one.mark is None for one in rows)
        self._db.executemany("INSERT INTO alone (number, mark, likeness, time) VALUES (?, ?, ?, ?)", rows)

    def remove(self, number: int) -> None:
        gone = self._db.execute("DELETE FROM alone WHERE number = ? RETURNING mark", (number,)).fetchall()
        self._count -= len(gone)
        self._unplaced -= sum(mark is None for (mark,) in gone)

    def detach(self, numbers: Iterable[int]) -> None:
        detach(self._db, numbers)

    def gone(self, number: int) -> Record | None:
        rows = self._db.execute("SELECT gone FROM alone WHERE number = ? AND gone IS NOT NULL", (number,))
        return next(iter(self._readable.records(raw for (raw,) in rows)), None)

    def marks(self, marks: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for start in range(0, len(marks), MARKS_AT_ONCE):
            some = marks[start : start + MARKS_AT_ONCE]
            places = ", ".join("?" * len(some))
            found.update(
                mark for (mark,) in self._db.execute(f"SELECT mark FROM alone WHERE mark IN ({places})", some)
            )
        return found

    def near(self, time: int, mark: int) -> list[View]:
        rows = self._db.execute(
            """SELECT number, coalesce(gone, record) AS raw FROM (
                SELECT * FROM (SELECT number, gone FROM alone WHERE mark = ?1 AND time BETWEEN ?2 - ?3 AND ?2
                    ORDER BY time DESC LIMIT ?4)
                UNION ALL
                SELECT * FROM (SELECT number, gone FROM alone WHERE mark = ?1
                    AND time > ?2 AND time <= ?2 + ?3 ORDER BY time LIMIT ?4)
            ) LEFT JOIN witnesses USING (number) WHERE raw IS NOT NULL""",
            (mark, time, SKEW_NS + LONGEST_NS, MAX_NEAR // 2),
        )
        return [
            view_of(record, number, mark)
            for number, raw in rows
            for record in self._readable.records([raw])
            if mark_of(record) == mark
        ]

    def alike(self, likeness: int, start: int, end: int) -> list[tuple[View, Record]] | None:
        rows = self._db.execute(
            """SELECT number, record FROM (SELECT number FROM alone
                WHERE likeness = ? AND time BETWEEN ? AND ? LIMIT ?) JOIN witnesses USING (number)""",
            (likeness, start - LONGEST_NS, end + SLACK_NS, MAX_NEAR + 1),
        ).fetchall()
        if len(rows) > MAX_NEAR:
            return None
        return [
            (view_of(record, number, mark_of(record)), record)
            for number, raw in rows
            for record in self._readable.records([raw])
            if likeness_of(record) == likeness
        ]

    @property
    def has_unplaced(self) -> bool:
        return self._unplaced > 0

    def expire(self, now: int, most: int) -> int:
        old = self._db.execute(
            "SELECT max(first) FROM arrivals WHERE hour <= ?", ((now - KEPT_NS) // HOUR_NS,)
        ).fetchone()
        self._db.execute(
            "DELETE FROM alone WHERE number IN (SELECT number FROM alone WHERE number < ? LIMIT ?)",
            (old[0] or 0, EXPIRED_AT_ONCE),
        )
        self.forget()
        excess = max(0, min(self._count - most, EXPIRED_AT_ONCE))
        if excess:
            self._db.execute(
                "DELETE FROM alone WHERE number IN (SELECT number FROM alone ORDER BY number LIMIT ?)",
                (excess,),
            )
        return excess

    def has_room(self, likely: bool) -> bool:
        return self._count < (ROOM if likely else UNLIKELY_ROOM)

    def forget(self) -> None:
        count, marked = self._db.execute("SELECT count(*), count(mark) FROM alone").fetchone()
        self._count, self._unplaced = int(count), int(count) - int(marked)


def detach(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Keeps lone views without their exchanges, as far as their other halves need them. Call it before their
    records are deleted. Unplaced ones are removed.
    """
    for number in numbers:
        query = "SELECT record FROM alone JOIN witnesses USING (number) WHERE number = ? AND mark IS NOT NULL"
        row = db.execute(query, (number,)).fetchone()
        if row is None:
            db.execute("DELETE FROM alone WHERE number = ?", (number,))
        else:
            db.execute("UPDATE alone SET gone = ? WHERE number = ?", (_without_content(row[0]), number))


def _without_content(raw: bytes) -> bytes | None:
    """A packed record without headers and bodies; None if it cannot be read."""
    try:
        record = decode_record(raw)
    except UNREADABLE:
        return None
    request, response = record.request, record.response
    return pack_record(
        replace(
            record,
            request=None if request is None else _emptied(request),
            response=None if response is None else _emptied(response),
        )
    )


Half = TypeVar("Half", Request, Response)


def _emptied(half: Half) -> Half:
    body = Body(half.body.size, None, half.body.state)
    return replace(half, headers=(), trailers=(), body=body)
