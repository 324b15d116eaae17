"""Stored exchanges and their views.

`revision` is that of the API's specifications under which an exchange was counted; ~revision (negative) if it
is to be validated again although they are the same.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from agent.wire import Record
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.views import in_order, sub_operations
from server.store.draft import ExchangeDraft
from server.store.parts import StoredPart
from server.store.sqlite.reading.conditions import status_of
from server.store.sqlite.reading.readable import Readable, deviations
from server.store.values import HOUR_NS, Contribution, StoredView

Value = int | str | bytes | None

COLUMNS = (
    "number, time, api, operation, consumer, method, path, status, bucket, duration, verdict, why,"
    " deprecated, deviations, revision, namespaces, workloads, clusters, pods, images, uncertain, fault,"
    " second"
)
MARKS = ", ".join("?" * len(COLUMNS.split(",")))
IDS_AT_ONCE = 500
NAMELESS: frozenset[str | None] = frozenset({None, ""})


class SqliteSamples:
    """Remembers the hour whose first number is known to be stored."""

    def __init__(self, db: sqlite3.Connection, readable: Readable) -> None:
        self._db = db
        self._readable = readable
        self.forget()

    def forget(self) -> None:
        self._hour: int | None = None

    def numbers(self, count: int, now: int) -> Sequence[int]:
        (following,) = self._db.execute(
            "UPDATE numbers SET next = next + ? WHERE name = 'records' RETURNING next", (count,)
        ).fetchone()
        first = int(following) - count
        self._record_hour(now // HOUR_NS, first)
        return range(first, first + count)

    def _record_hour(self, hour: int, first: int) -> None:
        """Records that exchanges from number `first` on arrive in this hour. Removes later hours: the clock
        was set back.
        """
        if hour != self._hour:
            self._db.execute("DELETE FROM arrivals WHERE hour > ?", (hour,))
            self._db.execute("INSERT INTO arrivals VALUES (?, ?) ON CONFLICT DO NOTHING", (hour, first))
            self._hour = hour

    def known(self, ids: Sequence[str]) -> set[str]:
        return {id for (id,) in self._with_ids("id", ids)}

    def known_of(self, cluster: str, ids: Sequence[str]) -> set[str]:
        records = self._readable.records(raw for (raw,) in self._with_ids("record", ids))
        return {one.id for one in records if one.cluster == cluster}

    def _with_ids(self, column: str, ids: Sequence[str]) -> Iterator[sqlite3.Row]:
        for start in range(0, len(ids), IDS_AT_ONCE):
            some = ids[start : start + IDS_AT_ONCE]
            marks = ", ".join("?" * len(some))
            yield from self._db.execute(f"SELECT {column} FROM witnesses WHERE id IN ({marks})", some)

    def load(self, number: int) -> ExchangeDraft | None:
        row = self._db.execute(f"SELECT {COLUMNS} FROM exchanges WHERE number = ?", (number,)).fetchone()
        if row is None:
            return None
        raws = self._db.execute(
            "SELECT record FROM witnesses WHERE number IN (?, ?) ORDER BY number", (number, row[-1])
        )
        records = self._readable.records(raw for (raw,) in raws)
        return self._readable.one(StoredPart.EXCHANGES, row, partial(_draft, records=records))

    def add_views(self, views: Iterable[StoredView]) -> None:
        query = "INSERT INTO witnesses (number, id, exchange, record) VALUES (?, ?, ?, ?)"
        self._db.executemany(query, views)

    def remove_views(self, numbers: Iterable[int]) -> None:
        self._db.executemany("DELETE FROM witnesses WHERE number = ?", [(number,) for number in numbers])

    def join(self, number: int, exchange: int) -> None:
        self._db.execute("UPDATE witnesses SET exchange = ? WHERE number = ?", (exchange, number))

    def write(self, exchanges: Iterable[ExchangeDraft]) -> None:
        new: list[tuple[Value, ...]] = []
        changed: list[tuple[Value, ...]] = []
        for one in exchanges:
            if one.stored:
                changed.append((*_row(one), one.number))
            else:
                new.append(_row(one))
            one.stored = True
        many = self._db.executemany
        many(f"INSERT INTO exchanges ({COLUMNS}) VALUES ({MARKS})", new)
        many(f"UPDATE exchanges SET ({COLUMNS}) = ({MARKS}) WHERE number = ?", changed)

    def unjudged(self, api: int, revision: int, limit: int) -> list[int]:
        rows = self._db.execute(
            "SELECT number FROM exchanges WHERE api = ? AND revision <> ? LIMIT ?", (api, revision, limit)
        )
        return [number for (number,) in rows]

    def mark_judged(self, number: int, revision: int) -> None:
        self._db.execute(
            """UPDATE exchanges SET verdict = NULL, why = NULL, fault = NULL, deviations = NULL,
            deprecated = 0 WHERE number = ?1 AND revision NOT IN (?2, ~?2)""",
            (number, revision),
        )
        self._db.execute("UPDATE exchanges SET revision = ? WHERE number = ?", (revision, number))

    def reconsider(self, api: int, identity: DeviationIdentity) -> None:
        self._db.execute(
            """UPDATE exchanges SET revision = ~revision
            WHERE api = ? AND revision >= 0 AND instr(deviations, ?)""",
            (api, json.dumps(identity).removesuffix("]")),
        )


def _draft(row: sqlite3.Row, records: Sequence[Record]) -> ExchangeDraft:
    """Raises ValueError if a view cannot be read: its contribution cannot be subtracted."""
    number, time, api, operation, consumer, _, _, status, bucket, duration, verdict, why, *rest = row
    deprecated, packed, revision, *_, uncertain, fault, second = rest
    if len(records) != (1 if second is None else 2):
        raise ValueError("a view is missing")
    return ExchangeDraft(
        number=number,
        records=[*records],
        stored=True,
        second=second,
        api=api,
        duration=duration,
        why=why,
        fault=fault,
        deprecated=bool(deprecated),
        revision=revision if revision >= 0 else ~revision,
        counted=Contribution(
            operation,
            consumer,
            status_of(status),
            time,
            bucket,
            verdict,
            fault,
            sub_operations=sub_operations(in_order(records)),
            uncertain=bool(uncertain),
        ),
        deviations=deviations(packed),
    )


def _row(one: ExchangeDraft) -> tuple[Value, ...]:
    counted, first = one.counted, one.records[0]
    assert counted is not None
    request = first.request  # the same in both views
    found = [(*identity, message) for identity, message in one.deviations.items()]
    pods = [
        end
        for record in one.records
        for end in (record.client, record.server)
        if end is not None and end.namespace is not None
    ]
    return (
        one.number,
        counted.time,
        one.api,
        counted.operation,
        counted.consumer,
        request.method if request else "",
        request.path if request else b"",
        counted.status or 0,
        counted.bucket,
        one.duration,
        counted.verdict,
        one.why,
        one.deprecated,
        json.dumps(found) if found else None,
        one.revision,
        _lines({end.namespace for end in pods}),
        _lines({end.workload for end in pods}),
        _lines({record.cluster for record in one.records}),
        _lines({end.pod for end in pods}),
        _lines({image for end in pods for image in (end.image, end.digest)}),
        counted.uncertain,
        one.fault,
        one.second,
    )


def _lines(names: set[str | None]) -> str | None:
    """Names separated by newlines, so that a filter can match whole names."""
    if names <= NAMELESS:
        return None
    known = sorted(name for name in names if name)
    return "\n" + "\n".join(known) + "\n"
