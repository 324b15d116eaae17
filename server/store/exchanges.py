"""Whole exchanges and their witnesses, as the writer keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlite_utils import Database

from agent.wire import Record, decode_record
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.witnesses import SKEW_NS, View, mark_of, view_of
from server.store.counters import Contribution
from server.store.coverage import Covered
from server.store.values import HOUR_NS

COLUMNS = (
    "number, time, api, operation, consumer, method, path, status, bucket, duration, verdict, why,"
    " deprecated, deviations, revision, namespaces, workloads, mark, second"
)
MARKS = ", ".join("?" * len(COLUMNS.split(",")))
IDS_AT_ONCE = 500
NAMELESS: frozenset[str | None] = frozenset({None, ""})


@dataclass(slots=True)
class ExchangeDraft:
    """One exchange on its way into the store: its views, and what was made of them.

    `number` is that of its first witness; `stored` says whether its row exists. What the counters hold
    of it is `counted`, `deviations` (with their messages) and `covered` (judged under `revision` of its API).
    """

    number: int
    records: list[Record]
    raw: bytes | None
    mark: int | None
    stored: bool = False
    second: int | None = None
    second_raw: bytes | None = None
    api: int = 0
    duration: int | None = None
    why: str | None = None
    deprecated: bool = False
    revision: int = 0
    counted: Contribution | None = None
    deviations: Mapping[DeviationIdentity, str] = field(default_factory=dict)
    covered: Covered | None = None  # None: nothing, or (if stored) not known any more
    views: int = 0  # how many of the records `covered` was made of

    @property
    def id(self) -> str:
        return self.records[0].id


class OpenExchanges:
    """The writer's view. Numbers only grow while the server runs."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._next = 1
        self.forget()

    def forget(self) -> None:
        """Numbers go on above the highest that was used, also where retention took all exchanges."""
        for column, table in (("number", "witnesses"), ("watermark", "learning"), ("first", "arrivals")):
            (highest,) = self._db.conn.execute(f"SELECT max({column}) FROM {table}").fetchone()
            self._next = max(self._next, (highest or 0) + 1)

    @property
    def next(self) -> int:
        """The number that the next record gets."""
        return self._next

    def number(self) -> int:
        self._next += 1
        return self._next - 1

    def known(self, ids: Sequence[str]) -> set[str]:
        """Which of these record ids are stored already."""
        found: set[str] = set()
        for start in range(0, len(ids), IDS_AT_ONCE):
            some = ids[start : start + IDS_AT_ONCE]
            marks = ", ".join("?" * len(some))
            rows = self._db.conn.execute(f"SELECT id FROM witnesses WHERE id IN ({marks})", some)
            found.update(id for (id,) in rows)
        return found

    def load(self, number: int) -> ExchangeDraft | None:
        """A stored exchange; None where retention took it."""
        row = self._db.conn.execute(f"SELECT {COLUMNS} FROM exchanges WHERE number = ?", (number,)).fetchone()
        if row is None:
            return None
        _, time, api, operation, consumer, _, _, status, bucket, duration, verdict, why, deprecated = row[:13]
        deviations, revision, _, _, mark, second = row[13:]
        raws = self._db.conn.execute(
            "SELECT record FROM witnesses WHERE number IN (?, ?) ORDER BY number", (number, second)
        )
        records = [decode_record(raw) for (raw,) in raws]
        return ExchangeDraft(
            number=number,
            records=records,
            views=len(records),
            raw=None,
            mark=mark,
            stored=True,
            second=second,
            api=api,
            duration=duration,
            why=why,
            deprecated=bool(deprecated),
            revision=revision,
            counted=Contribution(operation, consumer, status, time, time // HOUR_NS, bucket, verdict),
            deviations=_unpacked(deviations),
        )

    def write(self, exchanges: Iterable[ExchangeDraft]) -> None:
        """Inserts new exchanges and rewrites changed ones, with their witnesses."""
        rows: list[tuple[object, ...]] = []
        changed: list[tuple[object, ...]] = []
        witnesses: list[tuple[object, ...]] = []
        for one in exchanges:
            (changed if one.stored else rows).append(_row(one))
            if one.raw is not None:
                witnesses.append((one.number, one.id, one.number, one.raw))
            if one.second_raw is not None:
                witnesses.append((one.second, one.records[1].id, one.number, one.second_raw))
            one.stored, one.raw, one.second_raw = True, None, None
        many = self._db.conn.executemany
        many(f"INSERT INTO exchanges ({COLUMNS}) VALUES ({MARKS})", rows)
        many(f"REPLACE INTO exchanges ({COLUMNS}) VALUES ({MARKS})", changed)
        many("INSERT INTO witnesses (number, id, exchange, record) VALUES (?, ?, ?, ?)", witnesses)

    def waiting_near(self, time: int, mark: int) -> list[View]:
        """Stored views of this mark that wait for their other half, around a time."""
        rows = self._db.conn.execute(
            """SELECT number FROM exchanges
            WHERE mark = ? AND second IS NULL AND +time BETWEEN ? AND ? LIMIT 64""",
            (mark, time - SKEW_NS, time + SKEW_NS),
        )
        return self._views([number for (number,) in rows])

    def latest_waiting(self, limit: int) -> list[View]:
        """The newest views that wait for their other half, oldest first (after a restart)."""
        rows = self._db.conn.execute(
            """SELECT number FROM exchanges WHERE mark IS NOT NULL AND second IS NULL
            ORDER BY time DESC, number DESC LIMIT ?""",
            (limit,),
        )
        return self._views([number for (number,) in rows][::-1])

    def _views(self, numbers: Iterable[int]) -> list[View]:
        views = []
        for number in numbers:
            (raw,) = self._db.conn.execute(
                "SELECT record FROM witnesses WHERE number = ?", (number,)
            ).fetchone()
            record = decode_record(raw)
            mark = mark_of(record)
            if mark is not None:
                views.append(view_of(record, number, mark))
        return views

    def unjudged(self, api: int, revision: int, limit: int) -> list[int]:
        """Numbers of an API's exchanges that were not judged under its present specifications."""
        rows = self._db.conn.execute(
            "SELECT number FROM exchanges WHERE api = ? AND revision <> ? LIMIT ?", (api, revision, limit)
        )
        return [number for (number,) in rows]

    def drop_oldest(self, limit: int, below: int = 2**63 - 1, size: int | None = None) -> int:
        """Deletes up to `limit` of the exchanges that arrived first, of those numbered below a number, and
        no more of them than hold `size` bytes; how many."""
        rows = self._db.conn.execute(
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
        self._db.conn.executemany("DELETE FROM exchanges WHERE number = ?", gone)
        self._db.conn.executemany("DELETE FROM witnesses WHERE number = ?", witnesses)
        return len(gone)


def _unpacked(deviations: str | None) -> dict[DeviationIdentity, str]:
    packed = json.loads(deviations) if deviations else []
    return {DeviationIdentity(*identity): message for *identity, message in packed}


def _row(one: ExchangeDraft) -> tuple[object, ...]:
    counted, first = one.counted, one.records[0]
    assert counted is not None
    request = first.request or (one.records[1].request if len(one.records) > 1 else None)
    deviations = [(*identity, message) for identity, message in one.deviations.items()]
    ends = [end for record in one.records for end in (record.client, record.server) if end is not None]
    return (
        one.number,
        counted.time,
        one.api,
        counted.operation,
        counted.consumer,
        request.method if request else "",
        request.path if request else b"",
        counted.status,
        counted.bucket,
        one.duration,
        counted.verdict,
        one.why,
        one.deprecated,
        json.dumps(deviations) if deviations else None,
        one.revision,
        _lines({end.namespace for end in ends}),
        _lines({end.workload for end in ends}),
        one.mark,
        one.second,
    )


def _lines(names: set[str | None]) -> str | None:
    """Names between newlines, so that a filter finds whole names of either end."""
    if names <= NAMELESS:
        return None
    known = sorted(name for name in names if name)
    return "\n" + "\n".join(known) + "\n"
