from __future__ import annotations

import pytest
from msgspec.structs import replace

from agent.wire import Endpoint, Record
from server.query.sorting import SORTS
from tests.server.engine import spec
from tests.server.records import NOON, record
from tests.server.running import Client
from tests.server.sql import drop_oldest

HOUR_NS = 3_600_000_000_000
TILL = Endpoint("10.1.0.9", 40000, 7, pod="till-1", namespace="front", workload="till")
RAW = spec("GET /users/{id}", "!GET /old/{id}")


def called(n: int, path: str, hour: int = 0, status: int = 200, till: bool = False) -> Record:
    one = record(n, path=path, status=status, id=f"r{n}", start=NOON + hour * HOUR_NS, host=b"shop.local")
    return replace(one, client=TILL) if till else one


@pytest.fixture
def shop(client: Client) -> Client:
    client.http.post("/api/v1/specs", params={"host": "shop.local"}, content=RAW).raise_for_status()
    client.send(
        called(1, "/users/1"),
        called(2, "/users/2", hour=1, status=503),
        called(3, "/users/3", hour=1, till=True),
        called(4, "/old/1", hour=2, till=True),
        called(5, "/old/2", hour=2, status=404, till=True),
        called(6, "/unknown", hour=3, till=True),
    )
    return client


def test_consumers_are_listed_with_what_they_call_the_busiest_first(shop: Client) -> None:
    till, other = shop.items("/consumers", limit=1)
    assert (till["kind"], till["name"], till["calls"], till["deprecated_calls"]) == (
        "workload",
        "front/till",
        4,
        2,
    )
    assert (till["operations"], till["apis"], other["calls"]) == (3, 1, 2)
    assert (till["first_seen"], till["last_seen"]) == (
        "2026-11-23T13:00:00.000000000Z",
        "2026-11-23T15:00:00.000000000Z",
    )
    assert shop.get(f"/consumers/{till['id']}") == till
    assert shop.http.get("/api/v1/consumers/none").status_code == 404
    assert shop.http.get(f"/api/v1/consumers/{9:016x}").status_code == 404


def test_what_a_consumer_calls_is_listed_by_status(shop: Client) -> None:
    (till,) = shop.items("/consumers", consumer="front/*")
    found = shop.items(f"/consumers/{till['id']}/operations", limit=1)
    assert {one["operation"]: one["statuses"] for one in found} == {
        "GET /old/{id}": {"200": 1, "404": 1},
        "GET /users/{id}": {"200": 1},
        "GET /unknown": {"200": 1},
    }
    assert [one["operation"] for one in found if one["deprecated"]] == ["GET /old/{id}"]
    assert sum(one["calls"] for one in found) == till["calls"]
    for one in found:
        (listed,) = shop.items("/exchanges", operation=one["id"], consumer=till["id"], limit=1)[:1]
        assert listed["consumer"]["name"] == "front/till"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("verdict:conforming", {"other": 1, "front/till": 1}),
        ("verdict:shadow fault:server", {"front/till": 1}),
        ("deprecated:yes", {"front/till": 2}),
        ("status:5xx", {"other": 1}),
        ("path:/users/*", {"other": 2, "front/till": 1}),
        ("since:2026-11-23T14:00:00Z", {"front/till": 3}),
        ("until:2026-11-23T13:00:00Z", {"other": 1}),
        ("till", {"front/till": 4}),
        ("-till", {"other": 2}),
    ],
)
def test_consumers_are_those_of_the_calls_that_a_query_selects(
    shop: Client, query: str, names: dict[str, int]
) -> None:
    found = {one["name"]: one["calls"] for one in shop.items("/consumers", q=query)}
    assert {name if name == "front/till" else "other": calls for name, calls in found.items()} == names


def test_calls_over_time_are_by_class_of_status_and_by_verdict(shop: Client) -> None:
    asked = {"since": "2026-11-23T12:00:00Z", "until": "2026-11-23T17:00:00Z"}
    hours = shop.get("/stats", **asked)["items"]
    assert [one["time"][11:13] for one in hours] == ["12", "13", "14", "15", "16"]
    assert [one["statuses"] for one in hours] == [
        {"2xx": 1}, {"2xx": 1, "5xx": 1}, {"2xx": 1, "4xx": 1}, {"2xx": 1}, {},
    ]  # fmt: skip
    (day,) = shop.get("/stats", by="day", **asked)["items"]
    assert day["statuses"] == {"2xx": 4, "4xx": 1, "5xx": 1}
    listed: dict[str, int] = {}
    for one in shop.items("/exchanges"):
        listed[one["verdict"]] = listed.get(one["verdict"], 0) + 1
    assert day["verdicts"] == listed
    assert set(listed) >= {"conforming", "shadow"}
    faults = [one["fault"] for one in shop.items("/exchanges") if one["fault"]]
    assert day["faults"] == {one: faults.count(one) for one in faults}
    drop_oldest(shop.core.store, 6)
    assert shop.get("/stats", by="day", **asked)["items"] == [day]
    (some,) = shop.get("/stats", by="day", q="consumer:front/till deprecated:yes", **asked)["items"]
    assert some["statuses"] == {"2xx": 1, "4xx": 1}
    assert sum(some["verdicts"].values()) == 2


@pytest.mark.parametrize(
    ("of", "sort"), [(of, sign + key) for of, keys in SORTS.items() for key in keys for sign in ("", "-")]
)
def test_each_list_is_sorted_by_each_key_page_by_page(shop: Client, of: str, sort: str) -> None:
    shop.send(record(9, host=b"other.local", server=Endpoint("10.9.9.9", 80), id="r9"))
    whole = shop.items(f"/{of}", sort=sort)
    found = [one[sort.removeprefix("-")] for one in whole]
    keys = ["" if key is None else key for key in found]  # an API that is declared only
    assert keys == sorted(keys, reverse=sort.startswith("-"))
    assert len(whole) > 1 or of == "deviations"
    assert shop.items(f"/{of}", sort=sort, limit=1) == whole
    assert sorted(one["id"] for one in whole) == sorted(one["id"] for one in shop.items(f"/{of}"))


def test_an_order_that_a_list_does_not_have_is_refused_with_those_it_has(shop: Client) -> None:
    answer = shop.http.get("/api/v1/operations?sort=-cuont")
    assert answer.status_code == 422
    assert answer.json()["detail"] == (
        "query.sort: is none of count, last_seen, first_seen; did you mean count?"
    )
    for path in ("/stats", "/facets"):
        assert shop.http.get(f"/api/v1{path}?sort=calls").status_code == 422


def test_too_many_periods_are_refused(shop: Client) -> None:
    answer = shop.http.get("/api/v1/stats?since=1000000000")
    assert (answer.status_code, "by=day" in answer.json()["detail"]) == (422, True)
    assert len(shop.get("/stats")["items"]) in (24, 25)
