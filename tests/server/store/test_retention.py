from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.wire import Body, Record
from server.store.exchanges import HOUR_NS
from server.store.retention import DAY_NS, Bounds, fold_hours, used_bytes
from tests.server.engine import spec
from tests.server.records import NOON, record
from tests.server.running import Client, serving

MIB = 1024 * 1024


def bulky(n: int, start: int | None = None) -> Record:
    answer = record().response
    assert answer is not None
    body = Body(60_000, bytes((n + k) % 256 for k in range(60_000)), "complete")
    return record(n, path=f"/users/{n}", response=replace(answer, body=body), start=start)


def file_size(client: Client) -> int:
    client.app.state.store.checkpoint()
    return int(client.app.state.store.path.stat().st_size)


def test_the_file_shrinks_to_its_bound_and_the_oldest_go_first(tmp_path: Path) -> None:
    with serving(tmp_path, retention_bytes=8 * MIB, retention_days=36500) as client:
        client.app.state.jobs.stop()
        client.send(*[bulky(n) for n in range(200)])
        client.send(*[bulky(n) for n in range(200, 400)])
        before = file_size(client)
        assert before > 20 * MIB
        client.app.state.jobs._stopping = False
        dropped = client.app.state.jobs.enforce_retention()
        assert file_size(client) < 8 * MIB
        left = [one["path"]["text"] for one in client.items("/exchanges", limit=20)]
        assert left == [f"/users/{n}" for n in range(399, dropped - 1, -1)]
        assert 0 < len(left) < 200
        assert client.operations()["GET /users/{id}"]["count"] == 400
        client.send(bulky(400))
        assert client.operations()["GET /users/{id}"]["count"] == 401


def test_what_is_too_old_goes_though_there_is_room(tmp_path: Path) -> None:
    with serving(tmp_path, retention_days=7) as client:
        jobs = client.app.state.jobs
        jobs._clock = lambda: NOON
        client.send(record(0, start=NOON - 8 * DAY_NS), record(1, start=NOON - 6 * DAY_NS, path="/young"))
        jobs.enforce_retention()
        (left,) = client.items("/exchanges")
        assert left["path"] == {"text": "/young"}
        assert sum(one["count"] for one in client.operations().values()) == 2
        assert jobs.dropped == 1


def test_a_sample_that_went_leaves_its_deviation(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        client.http.post("/api/v1/specs?host=shop.local:8080", content=spec("GET /x")).raise_for_status()
        client.send(record(0))
        (before,) = client.items("/deviations")
        assert before["exchange"] == "server-40000-0"
        state = client.app.state
        assert state.store.write(lambda db: state.acceptor.exchanges.drop_oldest(10)).result() == 1
        (after,) = client.items("/deviations")
        assert after == {**before, "exchange": None}


def test_a_half_whose_other_half_went_is_an_exchange_of_its_own(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        client.send(record(0, "client"))
        state = client.app.state
        state.store.write(lambda db: state.acceptor.exchanges.drop_oldest(10)).result()
        client.send(record(0, "server"))
        (one,) = client.items("/exchanges")
        assert len(one["witnesses"]) == 1


def test_counters_of_long_ago_are_kept_by_the_day(tmp_path: Path) -> None:
    with serving(tmp_path, retention_days=36500) as client:
        client.send(*[record(n, start=NOON + n * HOUR_NS) for n in range(30)])
        state = client.app.state

        def hours() -> list[tuple[int, int]]:
            with state.store.reading() as db:
                return [tuple(row) for row in db.execute("SELECT hour, count FROM calls ORDER BY hour")]

        def counted() -> dict[str, Any]:
            """All but when callers were first and last seen, which is kept as finely as the counters."""
            found = client.operations()
            for one in found.values():
                one["callers"] = [(caller["name"], caller["count"]) for caller in one["callers"]]
            return found

        before = counted()
        state.store.write(lambda db: fold_hours(db, Bounds(7, 1), NOON + 31 * DAY_NS)).result()
        noon = NOON // HOUR_NS
        assert hours() == [(noon - 12, 12), *((noon + 12 + n, 1) for n in range(18))]
        assert counted() == before
        state.store.write(lambda db: fold_hours(db, Bounds(7, 1), NOON + 32 * DAY_NS)).result()
        assert hours() == [(noon - 12, 12), (noon + 12, 18)]


def test_used_bytes_leave_out_what_is_free(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        state = client.app.state
        client.send(*[bulky(n) for n in range(50)])
        full = state.store.write(used_bytes).result()
        state.store.write(lambda db: state.acceptor.exchanges.drop_oldest(50)).result()
        assert state.store.write(used_bytes).result() < full / 4
