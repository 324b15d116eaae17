"""Lists of 50,000 exchanges are read by planned indexes, in a bounded number of the engine's steps.

A step is an instruction of SQLite's virtual machine: reading a row past a test takes about eight. Unlike
time, their number is the same on every machine.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from server.query.fields import ListName
from server.query.filtering import parsed
from server.store.filters import Sort
from server.store.reader import Reader
from server.store.rows import Listed
from server.store.sqlite.connection import _text
from server.store.sqlite.reading import SqliteReader
from tests.server.store.sqlite.filled import OPERATION, fill

EXCHANGES = 50_000
STEPS = 100  # counted at once
PAGE = 50


@dataclass
class Plan:
    """How a list was read."""

    rows: int
    steps: int
    indexes: str


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = fill(tmp_path_factory.mktemp("filled"), EXCHANGES)
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    connection.text_factory = _text
    yield connection
    connection.close()


def planned(db: sqlite3.Connection, of: ListName, query: str) -> Plan:
    asked: list[str] = []
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += STEPS

    reader = SqliteReader(db, lambda _: None)
    db.set_trace_callback(asked.append)
    db.set_progress_handler(step, STEPS)
    try:
        rows = listed(reader, of, query).rows
    finally:
        db.set_trace_callback(None)
        db.set_progress_handler(None, 0)
    asked = [one for one in asked if "OFFSET" not in one]  # how far to search
    (list_query,) = [one for one in asked if "LIMIT" in one and "ORDER BY" in one and "WHERE" in one][:1]
    plan = db.execute(f"EXPLAIN QUERY PLAN {list_query}")
    return Plan(len(rows), steps, "; ".join(detail for *_, detail in plan))


def listed(reader: Reader, of: ListName, query: str) -> Listed[object]:
    filters = parsed(of, query, time.time_ns())
    if of is ListName.EXCHANGES:
        return reader.exchanges.listed(filters, PAGE, None)
    if of is ListName.OPERATIONS:
        return reader.inventory.operations(filters, PAGE, None)
    if of is ListName.DEVIATIONS:
        return reader.deviations.listed(filters, PAGE, None)
    if of is ListName.CONSUMERS:
        return reader.consumers.listed(filters, PAGE, None)
    return reader.inventory.apis(filters, PAGE, None)


@pytest.mark.parametrize(
    ("query", "index", "rows", "steps"),
    [
        ("", "exchanges_time (time<?)", PAGE, 5_000),
        ("api:0000000100000003", "exchanges_api (api=? AND time<?)", PAGE, 5_000),
        ("api:shop/api-3", "exchanges_api (api=? AND time<?)", PAGE, 200_000),
        (f"operation:{OPERATION + 3:016x}", "exchanges_operation (operation=? AND time<?)", PAGE, 6_000),
        ("verdict:deviating", "exchanges_verdict (verdict=? AND time<?)", PAGE, 5_000),
        ("verdict:zombie", "exchanges_verdict (verdict=? AND time<?)", 0, 500),
        ("status:5xx", "exchanges_time (time>? AND time<?)", PAGE, 250_000),
        ("since:1h", "exchanges_time (time>? AND time<?)", 0, 500),
        ("consumer:nobody", "exchanges_time (time>? AND time<?)", 0, 550_000),
        ("status:404", "exchanges_time (time>? AND time<?)", 0, 450_000),
        ("path:*nowhere*", "exchanges_time (time>? AND time<?)", 0, 500_000),
        ("nowhere", "exchanges_time (time>? AND time<?)", 0, 1_000_000),
    ],
)
def test_exchanges_are_read_by_an_index_in_few_steps(
    db: sqlite3.Connection, query: str, index: str, rows: int, steps: int
) -> None:
    plan = planned(db, ListName.EXCHANGES, query)
    assert index in plan.indexes
    assert plan.rows == rows
    assert plan.steps <= steps


@pytest.mark.parametrize("query", ["path:*/things/3/*", "path:*/things/3/* sort", "nowhere", "-status:200"])
def test_a_search_goes_on_where_its_page_ended_until_everything_was_searched(
    db: sqlite3.Connection, query: str
) -> None:
    text, _, ascending = query.partition(" ")
    filters = replace(parsed(ListName.EXCHANGES, text, time.time_ns()), sort=Sort("time", bool(ascending)))
    reader, after, found, pages = SqliteReader(db, lambda _: None), None, [], 0
    while pages == 0 or after is not None:
        page = reader.exchanges.listed(filters, 500, after)
        found += [one.number for one in page.rows]
        after, pages = page.next, pages + 1
    condition = {"-status:200": "status <> 200", "nowhere": "0"}.get(text, "path GLOB '*/things/3/*'")
    rows = db.execute(f"SELECT number FROM exchanges WHERE {condition} ORDER BY number")
    expected = [number for (number,) in rows]
    assert found == (expected if ascending else expected[::-1])
    assert pages >= 3


@pytest.mark.parametrize("query", ["", "status:5xx", "consumer:agent-3/1.0", "path:*x*", "kind:enum", "x"])
@pytest.mark.parametrize("of", [one for one in ListName if one is not ListName.EXCHANGES])
def test_other_lists_do_not_read_exchanges(db: sqlite3.Connection, of: ListName, query: str) -> None:
    plan = planned(db, of, query)
    assert "exchanges" not in plan.indexes
    assert plan.steps <= 1_000_000
