"""Coverage of live traffic over HTTP, with the real specification engine."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from openapi_spec_validator import validate

from agent.wire import Consumer, Record
from server.analysis.specs.load import load
from tests.server.analysis.specs.spec_calls import document, operation, parameter
from tests.server.records import both, record
from tests.server.running import Client, serving, wait_for

ANSWER = {"200": {"description": "ok", "content": {"application/json": {"schema": {
    "type": "object", "properties": {"id": {"type": "string"}, "name": {"type": "string"}}
}}}}}  # fmt: skip
SHOP = document(
    {
        "/users/{id}": {
            "get": {
                "tags": ["users"],
                "parameters": [parameter("id", "path", {}), parameter("full", "query", {})],
                "responses": ANSWER,
            }
        },
        "/v1alpha1/users": {"post": operation()},
        "/old": {"get": operation(deprecated=True)},
    },
    servers=[{"url": "http://shop.local:8080"}],
)
SHOW = "GET /users/{id}"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path, load) as client:
        yield client


def upload(client: Client, said: Any = SHOP) -> str:
    answer = client.http.post("/api/v1/specs", content=json.dumps(said))
    answer.raise_for_status()
    return str(answer.json()["api"])


def by(one: Record, agent: str, test: str | None = None) -> Record:
    return replace(one, consumer=Consumer(user_agent=agent, test_name=test))


def of(coverage: Any, key: str = SHOW) -> Any:
    return next(one for one in coverage["operations"] if one["operation"] == key)


def test_live_traffic_is_counted_once_an_exchange_with_all_that_tells_who_called(shop: Client) -> None:
    api = upload(shop)
    shop.send(*both(0, "/users/1?full=1"), record(1, path="/users/2"), record(2, path="/nothing"))
    found = shop.get(f"/apis/{api}/coverage")
    assert (found["total"], found["hit"], found["exchanges"]) == (2, 1, 3)
    one = of(found)
    assert one["hits"] == {"2xx": 2}
    assert one["parameters"] == {"path:id": 2, "query:full": 1}
    assert one["fields"] == {"response.body.200/id": 2, "response.body.200/name": 0}
    assert one["consumers"] == {"curl/8.0": {"hits": {"2xx": 2}, "watch": {}}}
    levels = found["consumers"]["curl/8.0"]["levels"]
    assert {name: (share["hit"], share["total"]) for name, share in levels.items()} == {
        "stable": (1, 1),
        "alpha": (0, 1),
    }
    assert of(shop.get(f"/apis/{api}/coverage", by="process"))["consumers"]["curl"]["hits"] == {"2xx": 1}
    assert [(one["method"], one["path"]) for one in found["unknown"]] == [("GET", "/nothing")]


def test_the_view_of_the_caller_may_come_later(shop: Client) -> None:
    api = upload(shop)
    client, server = both(0)
    shop.send(server)
    assert of(shop.get(f"/apis/{api}/coverage", by="process"))["consumers"] == {}
    shop.send(client)
    found = of(shop.get(f"/apis/{api}/coverage", by="process"))
    assert found["hits"] == {"2xx": 1}
    assert found["consumers"]["curl"]["hits"] == {"2xx": 1}


def test_what_was_stored_before_the_specification_came_counts(shop: Client) -> None:
    shop.send(record(0), record(1))
    api = upload(shop)
    found = wait_for(
        lambda: (now := shop.get(f"/apis/{api}/coverage"))["hit"] == 1 and now, "coverage of stored exchanges"
    )
    assert of(found)["hits"] == {"2xx": 2}


def test_a_new_specification_counts_anew_and_nothing_twice(shop: Client) -> None:
    api = upload(shop)
    shop.send(record(0), record(1))
    shop.http.put(f"/api/v1/apis/{api}/spec", content=json.dumps(SHOP)).raise_for_status()
    shop.send(record(2))
    wait_for(lambda: of(shop.get(f"/apis/{api}/coverage"))["hits"] == {"2xx": 3}, "three counted once")


def test_what_some_use_and_others_do_not_is_ranked(shop: Client) -> None:
    api = upload(shop)
    shop.send(*[by(record(n), "shop/2") for n in range(3)])
    shop.send(by(record(3, path="/v1alpha1/users", method="POST"), "e2e.test -- adds a user"))
    gaps = shop.get(f"/apis/{api}/coverage/gaps", used_by="shop*", not_by="e2e*")
    assert [(one["operation"], one["calls"]) for one in gaps["operations"]] == [(SHOW, 3)]


def test_level_tag_and_caller_narrow_it_down(shop: Client) -> None:
    api = upload(shop)
    shop.send(by(record(0), "shop/2"))
    assert shop.get(f"/apis/{api}/coverage", level="alpha")["hit"] == 0
    assert shop.get(f"/apis/{api}/coverage", tag="users")["hit"] == 1
    assert shop.get(f"/apis/{api}/coverage", consumer="nobody*")["hit"] == 0


def test_csv_is_the_same_as_a_table(shop: Client) -> None:
    api = upload(shop)
    shop.send(record(0))
    address, asked = f"/api/v1/apis/{api}/coverage", {"format": "csv"}
    answer = shop.http.get(address, params=asked, follow_redirects=True)
    assert answer.headers["content-type"].startswith("text/csv")
    rows = {row["operation"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    assert (rows[SHOW]["2xx"], rows[SHOW]["fields"]) == ("1", "1/2")


def test_confidence_comes_from_the_ledgers_and_unknown_names_from_the_deviations(shop: Client) -> None:
    api = upload(shop)
    shop.send(record(0, path="/users/1?loose=1"), record(1, path="/users/2?loose=2"))
    coverage = shop.get(f"/apis/{api}/coverage")
    assert coverage["confidence"] == {
        "http_bytes": 100,
        "unseen_bytes": 0,
        "unseen_percent": 0.0,
        "tls_bytes_before_probes": 0,
    }
    assert of(coverage)["unknown"] == {"query:loose": 2}


def test_another_release_is_held_against_the_same_traffic_and_not_kept(shop: Client) -> None:
    api = upload(shop)
    shop.send(*both(0), record(1, path="/fresh"))
    fresh = document({"/fresh": {"get": operation()}, "/unused": {"get": operation()}})
    answer = shop.http.post(f"/api/v1/apis/{api}/coverage", content=json.dumps(fresh))
    found = answer.json()
    assert (found["total"], found["hit"], found["exchanges"]) == (2, 1, 2)
    assert of(shop.get(f"/apis/{api}/coverage"))["hits"] == {"2xx": 1}
    bad = shop.http.post(f"/api/v1/apis/{api}/coverage", content=b"{")
    assert bad.status_code == 422
    spec = shop.items("/specs")[0]["id"]
    assert shop.get(f"/apis/{api}/coverage", spec=spec)["hit"] == 1


def test_an_api_or_specification_that_is_not_there_is_said_to_be_missing(shop: Client) -> None:
    api = upload(shop)
    assert shop.http.get("/api/v1/apis/none/coverage").status_code == 404
    assert shop.http.get(f"/api/v1/apis/{api}/coverage", params={"spec": "none"}).status_code == 404


def test_the_counts_outlive_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path, load) as client:
        api = upload(client)
        client.send(record(0))
    with serving(tmp_path, load) as client:
        assert of(client.get(f"/apis/{api}/coverage"))["hits"] == {"2xx": 1}


def test_the_document_of_the_routes_is_valid(shop: Client) -> None:
    validate(shop.http.get("/openapi.json").json())
