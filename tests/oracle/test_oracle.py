"""Whatever arrives in any order, and whatever fails: each call counts once, as in the plain model.

Over 10⁵ calls. The controls show that the check detects what it is for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings

from server.store.sqlite.writing.held import SqliteHeld
from server.store.sqlite.writing.lone_views import SqliteLoneViews
from server.store.sqlite.writing.positions import SqlitePositions
from server.store.sqlite.writing.samples import SqliteSamples
from server.store.values import StoredView
from tests.oracle.calls import START
from tests.oracle.compare import Differences, differences
from tests.oracle.model import Counts, counts
from tests.oracle.running import Running
from tests.oracle.schedules import Fault, Schedule, in_turn, run, schedules

CALLS, EXAMPLES = 260, 400


def found(schedule: Schedule) -> Counts:
    """The counters of a server that went through a schedule."""
    with tempfile.TemporaryDirectory() as folder:
        server = Running(Path(folder), START)
        try:
            run(schedule, server)
            return server.finish()
        finally:
            server.close()


def wrong(schedule: Schedule) -> Differences:
    return differences(counts(schedule.calls, schedule.skews), found(schedule))


@settings(max_examples=EXAMPLES)
@given(schedules(CALLS))
def test_every_call_counts_once(schedule: Schedule) -> None:
    assert wrong(schedule) == {}


def total(schedule: Schedule) -> tuple[int, int]:
    """Number of calls counted by the model, and by the server."""
    expected, counted = counts(schedule.calls, schedule.skews), found(schedule)
    return sum(expected["operations"].values()), sum(counted["operations"].values())


SEEDS = range(3)
OFFLINE = "agent-node-2"


@pytest.mark.parametrize("seed", SEEDS)
def test_without_knowing_batches_and_records_again_calls_count_twice(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = in_turn(seed, CALLS, faults={at: [Fault.AGAIN] for at in range(0, 40, 5)})
    assert wrong(schedule) == {}
    with monkeypatch.context() as patch:
        patch.setattr(SqlitePositions, "is_duplicate", lambda self, batch: False)
        expected, counted = total(schedule)
        assert counted == expected, "records are known by their ids as well"
    monkeypatch.setattr(SqlitePositions, "is_duplicate", lambda self, batch: False)
    monkeypatch.setattr(SqliteSamples, "known", lambda self, ids: set())
    monkeypatch.setattr(SqliteSamples, "add_views", keep_all)
    expected, counted = total(schedule)
    assert counted > expected


def keep_all(samples: SqliteSamples, views: Iterable[StoredView]) -> None:
    """Stores all views, even several with one id."""
    samples._db.executemany(
        "INSERT INTO witnesses (number, id, exchange, record) VALUES (?, ?, ?, ?)",
        ((one.number, f"{one.number} {one.id}", one.exchange, one.raw) for one in views),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_without_the_views_that_were_settled_alone_late_calls_count_twice(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = in_turn(seed, CALLS, away=OFFLINE)
    assert wrong(schedule) == {}
    monkeypatch.setattr(SqliteLoneViews, "marks", lambda self, marks: set())
    expected, counted = total(schedule)
    assert counted > expected


@pytest.mark.parametrize("seed", SEEDS)
def test_without_the_views_that_were_held_a_kill_loses_calls(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = in_turn(seed, CALLS, faults={at: [Fault.KILL] for at in range(40)})
    assert wrong(schedule) == {}
    monkeypatch.setattr(SqliteHeld, "ids", lambda self: {})
    expected, counted = total(schedule)
    assert counted < expected
