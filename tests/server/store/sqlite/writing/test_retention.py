from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import Body, Consumer, Record, decode_record
from server.ingest.decode import decode
from server.store.sqlite.connection import FILE
from server.store.store import Store
from server.store.values import DAY_NS, HOUR_NS, RetentionBounds
from tests.server.engine import spec
from tests.server.records import NOON, batch, both, record
from tests.server.running import Client, serving, wait_for
from tests.server.settled import accept
from tests.server.sql import drop_oldest, path_of, sql

MIB = 1024 * 1024


def bulky(n: int, start: int | None = None) -> Record:
    answer = record().response
    assert answer is not None
    body = Body(60_000, bytes((n + k) % 256 for k in range(60_000)), "complete")
    return record(n, path=f"/users/{n}", response=replace(answer, body=body), start=start)


def file_size(client: Client) -> int:
    client.core.store.compact()
    return int(path_of(client.core.store).stat().st_size)


def fold_hours(store: Store, now: int) -> None:
    store.write(lambda unit: unit.retention.fold_hours(RetentionBounds(7, 1), now)).result()


def receive(client: Client, now: int, *records: Record) -> None:
    """As if received at `now`."""
    client.seq += 1
    delivery, state = decode(batch(client.seq, list(records)), ""), client.core
    state.store.write(lambda db: accept(state.acceptor, delivery, now)).result()


def kept(client: Client, now: int) -> list[str]:
    """Paths that retention leaves at `now`, in the order of their times."""
    client.core.jobs._clock = lambda: now
    client.core.jobs.enforce_retention()
    return [one["path"]["text"] for one in client.items("/exchanges")][::-1]


@contextmanager
def quiet(data: Path, **options: Any) -> Iterator[Client]:
    """A server whose retention runs only on request."""
    with serving(data, **options) as client:
        client.core.jobs.stop()
        client.core.jobs.thread.stopping = False
        yield client


def test_the_file_shrinks_to_its_bound_and_the_oldest_go_first(tmp_path: Path) -> None:
    with quiet(tmp_path, retention_bytes=8 * MIB) as client:
        client.send(*[bulky(n) for n in range(200)])
        client.send(*[bulky(n) for n in range(200, 400)])
        before = file_size(client)
        assert before > 20 * MIB
        dropped = client.core.jobs.enforce_retention()
        assert file_size(client) < 8 * MIB
        left = [one["path"]["text"] for one in client.items("/exchanges", limit=20)]
        assert left == [f"/users/{n}" for n in range(399, dropped - 1, -1)]
        assert 0 < len(left) < 200
        assert client.operations()["GET /users/{id}"]["count"] == 400
        client.send(bulky(400))
        assert client.operations()["GET /users/{id}"]["count"] == 401


def test_an_exchange_goes_so_many_days_after_it_was_received_whatever_time_it_is_of(tmp_path: Path) -> None:
    with quiet(tmp_path) as client:
        receive(client, NOON, record(0, path="/ago", start=NOON - 365 * DAY_NS), record(1, path="/now"))
        receive(client, NOON + DAY_NS, record(2, path="/long/ago", start=NOON - 366 * DAY_NS))
        assert kept(client, NOON + 7 * DAY_NS) == ["/long/ago", "/ago", "/now"]
        assert kept(client, NOON + 7 * DAY_NS + HOUR_NS) == ["/long/ago"]
        assert kept(client, NOON + 8 * DAY_NS) == ["/long/ago"]
        assert kept(client, NOON + 8 * DAY_NS + HOUR_NS) == []
        assert client.core.jobs.dropped == 3
        assert sum(one["count"] for one in client.operations().values()) == 3


def test_arrivals_are_kept_over_a_restart_within_the_hour(tmp_path: Path) -> None:
    with quiet(tmp_path) as client:
        receive(client, NOON, record(0, path="/first"))
    with quiet(tmp_path) as client:
        client.seq = 1
        receive(client, NOON + HOUR_NS // 2, record(1, path="/second"))
        receive(client, NOON + HOUR_NS, record(2, path="/third"))
        assert kept(client, NOON + 7 * DAY_NS + HOUR_NS) == ["/third"]


def test_a_clock_that_was_ahead_keeps_nothing_longer(tmp_path: Path) -> None:
    with quiet(tmp_path) as client:
        receive(client, NOON, record(0, path="/before"))
        receive(client, NOON + 999 * DAY_NS, record(1, path="/ahead"))
        receive(client, NOON + 2 * HOUR_NS, record(2, path="/after"))
        assert kept(client, NOON + 7 * DAY_NS) == ["/before", "/ahead", "/after"]
        assert kept(client, NOON + 7 * DAY_NS + HOUR_NS) == ["/after"]
        assert kept(client, NOON + 7 * DAY_NS + 3 * HOUR_NS) == []


def test_what_an_older_version_stored_counts_as_received_at_its_time_and_in_order(tmp_path: Path) -> None:
    now = time.time_ns()
    with quiet(tmp_path) as client:
        client.send(
            record(0, path="/gone", start=now - 9 * DAY_NS),
            record(1, path="/captured", start=now - 3 * DAY_NS),
            record(2, path="/imported", start=now - 365 * DAY_NS),
            record(3, path="/ahead", start=now + 99 * DAY_NS),
        )
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        db.execute("DROP TABLE arrivals")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm009_arrivals'")
    with quiet(tmp_path) as client:
        assert kept(client, now) == ["/imported", "/captured", "/ahead"]
        assert kept(client, now + 3 * DAY_NS) == ["/imported", "/captured", "/ahead"]
        assert kept(client, now + 5 * DAY_NS) == ["/ahead"]
        assert kept(client, now + 8 * DAY_NS) == []


def test_what_came_first_goes_first_where_room_ends(tmp_path: Path) -> None:
    with quiet(tmp_path, retention_bytes=4 * MIB) as client:
        receive(client, NOON, *[bulky(n) for n in range(100)])
        receive(client, NOON, record(100, path="/imported", start=NOON - 365 * DAY_NS))
        assert kept(client, NOON)[0] == "/imported"
        assert client.core.jobs.dropped > 20


def test_a_sample_that_went_leaves_its_deviation(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        client.http.post("/api/v1/specs?host=shop.local:8080", content=spec("GET /x")).raise_for_status()
        client.send(record(0))
        (before,) = client.items("/deviations")
        assert before["exchange"] == "server-40000-0"
        state = client.core
        assert drop_oldest(state.store, 10) == 1
        (after,) = client.items("/deviations")
        assert after == {**before, "exchange": None}


def test_counters_of_long_ago_are_kept_by_the_day(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        client.send(*[record(n, start=NOON + n * HOUR_NS) for n in range(30)])
        state = client.core

        def hours() -> list[tuple[int, int]]:
            return [
                (hour, count)
                for hour, count in sql(state.store, "SELECT hour, count FROM calls ORDER BY hour")
            ]

        def counted() -> dict[str, Any]:
            """Everything except first and last seen times of consumers, which are as coarse as the
            counters.
            """
            found = client.operations()
            for one in found.values():
                one["callers"] = [(caller["name"], caller["count"]) for caller in one["callers"]]
            return found

        before = counted()
        drop_oldest(state.store, 100)
        fold_hours(state.store, NOON + 31 * DAY_NS)
        noon = NOON // HOUR_NS
        assert hours() == [(noon - 12, 12), *((noon + 12 + n, 1) for n in range(18))]
        assert counted() == before
        fold_hours(state.store, NOON + 32 * DAY_NS)
        assert hours() == [(noon - 12, 12), (noon + 12, 18)]


def test_hours_with_samples_are_not_folded_so_that_these_can_be_judged_again(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        client.send(record(0, start=NOON - 365 * DAY_NS), record(1, start=NOON - 365 * DAY_NS + HOUR_NS))
        state = client.core
        before = client.operations()
        fold_hours(state.store, NOON)
        client.http.post(
            "/api/v1/specs?host=shop.local:8080", content=spec("GET /users/{id}")
        ).raise_for_status()
        (after,) = wait_for(
            lambda: [one for one in client.operations().values() if one["verdicts"]], "verdict of an old call"
        )
        assert after["callers"] == before["GET /users/{id}"]["callers"]
        assert after["statuses"] == {"200": 2}
        drop_oldest(state.store, 10)
        fold_hours(state.store, NOON)
        assert client.operations()["GET /users/{id}"]["statuses"] == {"200": 2}


def callers(client: Client) -> dict[str, int]:
    return dict(sql(client.core.store, "SELECT name, number FROM consumers"))


def calling(agent: str, ordinal: int, side: str = "server", **options: Any) -> Record:
    return record(ordinal, side, consumer=Consumer(user_agent=agent), **options)


def test_callers_that_nothing_refers_to_any_more_are_forgotten(tmp_path: Path) -> None:
    with quiet(tmp_path) as client:
        client.send(calling("replaced/1", 0), calling("counted/1", 1))
        client.send(calling("replaced/1", 0, "client"))  # better known by now: by its process
        before = callers(client)
        assert before.keys() == {"replaced/1", "counted/1", "curl"}
        state = client.core
        drop_oldest(state.store, 10)
        state.jobs.forget_callers()
        after = callers(client)
        assert after.keys() == {"counted/1", "curl"}
        client.send(calling("replaced/1", 3))
        assert callers(client) == before
        assert {one["name"] for one in client.operations()["GET /users/{id}"]["callers"]} == set(before)


def test_callers_are_kept_where_they_are_referred_to_meanwhile(tmp_path: Path) -> None:
    with quiet(tmp_path) as client:
        client.send(calling("counted/1", 0), calling("last/1", 1))
        known = callers(client)
        work = client.core.store.write(lambda unit: unit.consumers.drop_unused(list(known.values())))
        assert work.result() == 0
        assert callers(client) == known


def test_used_bytes_leave_out_what_is_free(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        state = client.core
        client.send(*[bulky(n) for n in range(50)])
        full = state.store.write(lambda unit: unit.retention.used_bytes()).result()
        drop_oldest(state.store, 50)
        assert state.store.write(lambda unit: unit.retention.used_bytes()).result() < full / 4


@pytest.mark.parametrize("first", ["client", "server"])
def test_the_late_half_of_an_exchange_that_retention_deleted_counts_no_call(
    client: Client, first: str
) -> None:
    views = both(0) if first == "client" else both(0)[::-1]
    client.send(views[0])
    store = client.core.store
    assert (drop_oldest(store, 1), sql(store, "SELECT count(*) FROM witnesses")) == (1, [(0,)])
    client.send(views[1])
    (api,) = client.items("/apis")
    assert (api["exchanges"], client.items("/exchanges")) == (1, [])
    assert client.server_ledger() == {"stored": 1, "witness": 1, "exchange_gone": 1}
    for table in ("witnesses", "alone", "held"):
        assert sql(store, f"SELECT count(*) FROM {table}") == [(0,)]


def test_of_what_is_kept_for_a_late_half_nothing_was_said(client: Client) -> None:
    body = Body(11, b'{"a":"seen"}', "complete")
    one = record(0, "client", "/users/seen")
    assert one.request is not None
    client.send(replace(one, request=replace(one.request, headers=((b"x-a", b"seen"),), body=body)))
    drop_oldest(client.core.store, 1)
    ((kept,),) = sql(client.core.store, "SELECT gone FROM alone")
    found = decode_record(kept).request
    assert found is not None
    assert (found.path, found.headers, found.body.data, found.body.size) == (b"/users/seen", (), None, 11)
