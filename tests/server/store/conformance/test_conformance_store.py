"""Writing, reading, undoing and closing, whatever the engine."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from server.store.errors import StoreUnavailable
from server.store.unit import Unit
from tests.server.records import record
from tests.server.store.conformance.opened import OpenStore, batch_of, someone, take
from tests.server.store.engines import ENGINES


def counting(bucket: str, count: int = 1) -> Callable[[Unit], None]:
    return lambda unit: unit.positions.count({bucket: count})


def buckets(opened: OpenStore) -> dict[str, int]:
    with opened.store.reading() as reader:
        return dict(reader.fleet.ledgers().server)


def test_work_is_done_in_order_and_stays(opened: OpenStore) -> None:
    for count in (1, 10, 100):
        opened.do(counting("a", count))
    assert buckets(opened) == {"a": 111}
    opened.again()
    assert buckets(opened) == {"a": 111}


def test_work_that_fails_is_undone_alone(opened: OpenStore) -> None:
    held = threading.Event()
    first = opened.store.write(lambda unit: held.wait(60))

    def wrong(unit: Unit) -> None:
        unit.positions.count({"lost": 1})
        raise ZeroDivisionError

    futures = [
        opened.store.write(counting("a")),
        opened.store.write(wrong),
        opened.store.write(counting("b")),
    ]
    held.set()
    assert first.result(60)
    assert isinstance(futures[1].exception(60), ZeroDivisionError)
    assert [futures[n].exception(60) for n in (0, 2)] == [None, None]
    assert buckets(opened) == {"a": 1, "b": 1}


def test_who_remembers_is_told_of_undone_work_before_other_work_begins(opened: OpenStore) -> None:
    told: list[str] = []
    opened.store.on_undo(lambda: told.append("undone"))
    opened.undo(lambda unit: told.append("work"))
    opened.do(lambda unit: told.append("next"))
    assert told == ["work", "undone", "next"]


def test_what_was_written_is_published_before_its_future_is_done(opened: OpenStore) -> None:
    published: list[dict[str, int]] = []
    opened.store.on_commit(lambda: published.append(buckets(opened)))
    opened.do(counting("a"))
    assert published == [{"a": 1}]


def test_undone_work_leaves_nothing_in_memory(opened: OpenStore) -> None:
    opened.undo(lambda unit: take(unit, record(0)))
    opened.undo(lambda unit: unit.positions.is_duplicate(batch_of(1)))
    assert opened.do(lambda unit: unit.positions.is_duplicate(batch_of(1))) is False
    opened.do(lambda unit: take(unit, record(0)))
    assert [one.views[0].id for one in opened.exchanges()] == ["server-40000-0"]
    (api,) = opened.apis()
    assert (api.exchanges, api.operations) == (1, 1)


def test_a_reader_sees_one_moment_whatever_is_written(opened: OpenStore) -> None:
    opened.do(counting("a"))
    with opened.store.reading() as reader:
        before = dict(reader.fleet.ledgers().server)
        opened.do(counting("a"))
        assert dict(reader.fleet.ledgers().server) == before == {"a": 1}
    assert buckets(opened) == {"a": 2}


def test_work_may_read_before_anything_is_written(opened: OpenStore) -> None:
    api, _ = opened.do(someone)
    opened.again()
    assert opened.store.begin(lambda unit: unit.apis.revisions()) == {api: 0}


def test_all_that_was_accepted_is_there_after_closing_and_nothing_more_is_taken(opened: OpenStore) -> None:
    futures = [opened.store.write(counting("a")) for _ in range(100)]
    assert opened.store.close()
    assert opened.store.is_closed
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(StoreUnavailable):
        opened.store.write(lambda unit: None)
    opened.again()
    assert buckets(opened) == {"a": 100}


def test_a_store_has_one_writer(opened: OpenStore) -> None:
    with pytest.raises(StoreUnavailable):
        opened.another()
    opened.store.close()
    opened.another().close()


def test_more_work_than_may_wait_is_refused_and_the_rest_is_done(opened: OpenStore) -> None:
    held = threading.Event()
    futures = [opened.store.write(lambda unit: held.wait(60))]

    def fill() -> None:
        while True:
            futures.append(opened.store.write(lambda unit: True))

    with pytest.raises(StoreUnavailable):
        fill()
    held.set()
    assert all(future.result(60) for future in futures)


def test_a_store_says_that_it_takes_writes_and_what_it_takes_of_the_disk(opened: OpenStore) -> None:
    opened.do(lambda unit: unit.room.probe())
    opened.do(lambda unit: unit.room.fill())
    opened.do(lambda unit: unit.room.free())
    assert (opened.store.refused, opened.store.damage, opened.store.waiting) == (None, None, 0)
    assert opened.store.used_bytes > 0
    opened.store.compact()


def test_no_test_of_conformance_names_an_engine() -> None:
    engines = re.compile("|".join(ENGINES), re.IGNORECASE)
    named = [path.name for path in Path(__file__).parent.glob("*.py") if engines.search(path.read_text())]
    assert named == []
