"""What the API reads: pages of rows, newest first, that later inserts do not shift.

A page's cursor is the key of its last row (time, number): the next page holds what sorts after it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from server.analysis.inventory import ApiKind
from server.store.counters import PROVISIONAL, SPECIFIED
from server.store.decisions import SAME, State

END = 2**63 - 1
PAGE_BYTES = 8 * 1024 * 1024  # a page of exchanges ends early where its records would exceed this
MAX_CALLERS = 50  # shown per operation, the busiest

Cursor = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Filters:
    """What every list can be narrowed by; None means any. `since` is inclusive, `until` exclusive, in ns."""

    api: int | None = None
    method: str | None = None
    path_prefix: str | None = None
    status: int | None = None
    status_class: int | None = None  # 5 stands for 5xx
    verdict: str | None = None
    consumer: str | None = None
    namespace: str | None = None
    workload: str | None = None
    since: int | None = None
    until: int | None = None
    deviation: int | None = None
    state: str | None = "heard"  # of deviations: one of State, "heard" (not ignored), None for all


class Conditions:
    """Conditions and their values, joined by AND."""

    def __init__(self) -> None:
        self._conditions = ["1"]
        self.values: list[object] = []

    def add(self, condition: str, *values: object) -> None:
        if None not in values:
            self._conditions.append(condition)
            self.values.extend(values)

    def __str__(self) -> str:
        return " AND ".join(self._conditions)


def number_of_api(db: sqlite3.Connection, id: str) -> int | None:
    """An API's number by its id, or by the id of one that was merged into it."""
    row = db.execute("SELECT coalesce(merged_into, number) FROM apis WHERE id = ?", (id,)).fetchone()
    return None if row is None else int(row[0])


def apis(db: sqlite3.Connection, filters: Filters, limit: int, after: Cursor | None) -> list[dict[str, Any]]:
    """APIs with their totals, most recently seen first."""
    where = Conditions()
    where.add("apis.number = ?", filters.api)
    where.add("apis.namespace = ?", filters.namespace)
    where.add("apis.workload = ?", filters.workload)
    where.add("operations.method = ?", filters.method)
    where.add("substr(operations.template, 1, length(?)) = ?", *_twice(filters.path_prefix))
    where.add(f"EXISTS ({_JUDGED} AND verdict = ?)", filters.verdict)
    _called(where, filters)
    after = after or (END, END)
    rows = db.execute(
        f"""SELECT * FROM (SELECT apis.*, coalesce(sum(operations.count), 0) AS exchanges,
        coalesce(sum(operations.count > 0), 0) AS operations, min(operations.first_seen) AS first_seen,
        coalesce(max(operations.last_seen), 0) AS last_seen
        FROM apis LEFT JOIN operations ON operations.api = apis.number
        WHERE apis.merged_into IS NULL AND {where} GROUP BY apis.number)
        WHERE (exchanges > 0 OR kind = '{ApiKind.DECLARED}') AND (last_seen, number) < (?, ?)
        AND last_seen >= ? AND coalesce(first_seen, 0) < ?
        ORDER BY last_seen DESC, number DESC LIMIT ?""",
        (*where.values, *after, filters.since or 0, filters.until or END, limit),
    )
    return [{**dict(row), **_of_api(db, row["number"])} for row in rows]


_JUDGED = "SELECT 1 FROM verdicts WHERE operation = operations.number"
_CALLED = """SELECT 1 FROM calls JOIN consumers ON consumers.number = calls.consumer
    WHERE operation = operations.number"""


_SHOWS = """SELECT 1 FROM operations
    WHERE operations.api = deviations.api AND operations.key = deviations.operation"""


def totals(db: sqlite3.Connection) -> dict[str, int]:
    """How many APIs there are, and how many exchanges were counted for them."""
    row = db.execute(
        """SELECT count(DISTINCT api) AS apis, coalesce(sum(count), 0) AS exchanges FROM operations
        WHERE count > 0"""
    ).fetchone()
    return dict(row)


def _called(where: Conditions, filters: Filters) -> None:
    """Narrows operations to those called with a status or by a consumer."""
    where.add(f"EXISTS ({_CALLED} AND consumers.name = ?)", filters.consumer)
    where.add(f"EXISTS ({_CALLED} AND status = ?)", filters.status)
    where.add(f"EXISTS ({_CALLED} AND status / 100 = ?)", filters.status_class)


def _twice(value: object) -> tuple[object, object]:
    return value, value


def _of_api(db: sqlite3.Connection, api: int) -> dict[str, Any]:
    hosts = db.execute("SELECT host FROM hosts WHERE api = ? ORDER BY host", (api,))
    specs = db.execute("SELECT id, title, version FROM specs WHERE api = ? ORDER BY number DESC", (api,))
    verdicts = db.execute(
        """SELECT verdict, sum(verdicts.count) FROM verdicts JOIN operations ON operations.number = operation
        WHERE api = ? GROUP BY verdict""",
        (api,),
    )
    merged = db.execute("SELECT id FROM apis WHERE merged_into = ? ORDER BY number", (api,))
    return {
        "hosts": [host for (host,) in hosts],
        "specs": [dict(row) for row in specs],
        "verdicts": dict(tuple(row) for row in verdicts),
        "merged": [id for (id,) in merged],
    }


def operations(
    db: sqlite3.Connection,
    api: int,
    filters: Filters,
    limit: int,
    after: Cursor | None,
    deprecated: bool | None = None,
) -> list[dict[str, Any]]:
    """An API's operations that were called, busiest first, with statuses, latencies and callers."""
    where = Conditions()
    where.add("deprecated = ?", deprecated)
    where.add("method = ?", filters.method)
    where.add("substr(template, 1, length(?)) = ?", *_twice(filters.path_prefix))
    where.add(f"EXISTS ({_JUDGED} AND verdict = ?)", filters.verdict)
    where.add("last_seen >= ?", filters.since)
    where.add("first_seen < ?", filters.until)
    _called(where, filters)
    rows = db.execute(
        f"""SELECT * FROM operations WHERE api = ? AND count > 0 AND (count, number) < (?, ?) AND {where}
        ORDER BY count DESC, number DESC LIMIT ?""",
        (api, *(after or (END, END)), *where.values, limit),
    )
    return [{**dict(row), **_of_operation(db, row["number"])} for row in rows]


def called(db: sqlite3.Connection, api: int) -> set[str]:
    """Keys of an API's operations that were called."""
    rows = db.execute("SELECT key FROM operations WHERE api = ? AND count > 0", (api,))
    return {key for (key,) in rows}


def _of_operation(db: sqlite3.Connection, operation: int) -> dict[str, Any]:
    statuses = db.execute(
        "SELECT status, sum(count) FROM calls WHERE operation = ? GROUP BY status ORDER BY status",
        (operation,),
    )
    latency = db.execute(
        "SELECT bucket, sum(count) FROM latency WHERE operation = ? GROUP BY bucket", (operation,)
    )
    verdicts = db.execute("SELECT verdict, count FROM verdicts WHERE operation = ?", (operation,))
    callers = db.execute(
        """SELECT kind, name, sum(count) AS count, min(hour) AS first, max(hour) AS last FROM calls
        JOIN consumers ON consumers.number = consumer WHERE operation = ?
        GROUP BY consumer ORDER BY count DESC, name LIMIT ?""",
        (operation, MAX_CALLERS),
    )
    return {
        "statuses": dict(tuple(row) for row in statuses),
        "latency": dict(tuple(row) for row in latency),
        "verdicts": dict(tuple(row) for row in verdicts),
        "callers": [dict(row) for row in callers],
    }


_EXCHANGE = """SELECT exchanges.*, apis.id AS api_id, operations.key AS operation_key,
    operations.kind AS operation_kind, consumers.kind AS consumer_kind, consumers.name AS consumer_name
    FROM exchanges JOIN apis ON apis.number = exchanges.api
    JOIN operations ON operations.number = exchanges.operation
    JOIN consumers ON consumers.number = exchanges.consumer"""


def exchanges(
    db: sqlite3.Connection, filters: Filters, limit: int, after: Cursor | None
) -> tuple[list[dict[str, Any]], bool]:
    """Stored exchanges, newest first, each with `records`: its witnesses' packed records; and whether
    there are more."""
    where = Conditions()
    where.add("exchanges.api = ?", filters.api)
    where.add("exchanges.method = ?", filters.method)
    where.add("substr(exchanges.path, 1, length(?)) = ?", *_twice(_bytes(filters.path_prefix)))
    where.add("status = ?", filters.status)
    where.add("status / 100 = ?", filters.status_class)
    where.add("verdict = ?", filters.verdict)
    where.add("consumers.name = ?", filters.consumer)
    where.add("instr(namespaces, char(10) || ? || char(10))", filters.namespace)
    where.add("instr(workloads, char(10) || ? || char(10))", filters.workload)
    where.add("time >= ?", filters.since)
    where.add("time < ?", filters.until)
    rows = db.execute(
        f"""{_EXCHANGE} WHERE (time, exchanges.number) < (?, ?) AND {where}
        ORDER BY time DESC, exchanges.number DESC LIMIT ?""",
        (*(after or (END, END)), *where.values, limit + 1),
    )
    page: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        records = _records(db, row)
        size += sum(map(len, records))
        if page and (size > PAGE_BYTES or len(page) == limit):
            return page, True
        page.append({**dict(row), "records": records})
    return page, False


def exchange(db: sqlite3.Connection, id: str) -> dict[str, Any] | None:
    """One exchange by the id of any of its records; None where there is none (any more)."""
    row = db.execute(
        f"{_EXCHANGE} WHERE exchanges.number = (SELECT exchange FROM witnesses WHERE id = ?)", (id,)
    ).fetchone()
    return None if row is None else {**dict(row), "records": _records(db, row)}


def _records(db: sqlite3.Connection, row: sqlite3.Row) -> list[bytes]:
    found = db.execute(
        "SELECT record FROM witnesses WHERE number IN (?, ?) ORDER BY number", (row["number"], row["second"])
    )
    return [record for (record,) in found]


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")


def deviations(
    db: sqlite3.Connection, filters: Filters, limit: int, after: Cursor | None
) -> list[dict[str, Any]]:
    """Deviations, most recently seen first, with counts, callers and a sample exchange's id."""
    where = Conditions()
    where.add("deviations.number = ?", filters.deviation)
    where.add("deviations.api = ?", filters.api)
    where.add("substr(deviations.operation, 1, length(?) + 1) = ? || ' '", *_twice(filters.method))
    where.add(
        "substr(deviations.operation, instr(deviations.operation, ' ') + 1, length(?)) = ?",
        *_twice(filters.path_prefix),
    )
    where.add("apis.namespace = ?", filters.namespace)
    where.add("apis.workload = ?", filters.workload)
    where.add(f"EXISTS ({_SHOWS} AND EXISTS ({_JUDGED} AND verdict = ?))", filters.verdict)
    where.add(f"EXISTS ({_SHOWS} AND EXISTS ({_CALLED} AND status = ?))", filters.status)
    where.add(f"EXISTS ({_SHOWS} AND EXISTS ({_CALLED} AND status / 100 = ?))", filters.status_class)
    where.add("deviations.last_seen >= ?", filters.since)
    where.add("deviations.first_seen < ?", filters.until)
    where.add(
        """EXISTS (SELECT 1 FROM deviation_calls JOIN consumers ON consumers.number = consumer
        WHERE deviation = deviations.number AND name = ?)""",
        filters.consumer,
    )
    if filters.state == "heard":
        where.add("coalesce(state, ?) <> ?", State.OPEN, State.IGNORED)
    else:
        where.add("coalesce(state, ?) = ?", State.OPEN, filters.state)
    rows = db.execute(
        f"""SELECT deviations.*, apis.id AS api_id, coalesce(state, 'open') AS state, reason,
        deviation_decisions."by" AS decided_by, deviation_decisions.time AS decided,
        (SELECT sum(count) FROM deviation_calls WHERE deviation = deviations.number) AS count,
        EXISTS (SELECT 1 FROM witnesses WHERE witnesses.id = sample) AS sampled
        FROM deviations JOIN apis ON apis.number = deviations.api LEFT JOIN deviation_decisions ON {SAME}
        WHERE (deviations.last_seen, deviations.number) < (?, ?) AND {where} AND count > 0
        ORDER BY deviations.last_seen DESC, deviations.number DESC LIMIT ?""",
        (*(after or (END, END)), *where.values, limit),
    )
    return [{**dict(row), "callers": _callers(db, row["number"])} for row in rows]


def _callers(db: sqlite3.Connection, deviation: int) -> list[dict[str, Any]]:
    rows = db.execute(
        """SELECT kind, name, count FROM deviation_calls JOIN consumers ON consumers.number = consumer
        WHERE deviation = ? ORDER BY count DESC, name LIMIT ?""",
        (deviation, MAX_CALLERS),
    )
    return [dict(row) for row in rows]


def shown_operation(kind: str, key: str) -> str | None:
    """An operation's key as shown with an exchange: None for the buckets that are none."""
    return key if kind in (PROVISIONAL, SPECIFIED) else None
