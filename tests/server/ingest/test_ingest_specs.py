"""Specifications: which API they are validated against, and that an upload loses no counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.wire import Endpoint
from server.analysis.specs.load import load
from server.jobs import Jobs
from tests.server.engine import spec
from tests.server.records import both, record
from tests.server.running import Client, serving, wait_for
from tests.server.sql import drop_oldest

USERS = spec("GET /users/{userId}", "!GET /old")


def upload(client: Client, raw: bytes = USERS, **params: str) -> dict[str, Any]:
    answer = client.http.post("/api/v1/specs", content=raw, params=params)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def verdicts(client: Client) -> dict[str, int]:
    found: dict[str, int] = {}
    for api in client.items("/apis"):
        for verdict, count in api["verdicts"].items():
            found[verdict] = found.get(verdict, 0) + count
    return found


def test_each_exchange_is_judged_as_it_arrives(client: Client) -> None:
    uploaded = upload(client, host="shop.local:8080")
    client.send(*both(0), *both(1, status=500), *both(2, "/old"), *both(3, "/admin/7"), *both(4, status=None))
    exchanges = client.items("/exchanges", api=uploaded["api"])
    assert [(one["operation"], one["verdict"], one["deprecated"]) for one in reversed(exchanges)] == [
        ("GET /users/{userId}", "conforming", False),
        ("GET /users/{userId}", "deviating", False),
        ("GET /old", "zombie", True),
        ("GET /admin/{id}", "shadow", False),
        ("GET /users/{userId}", "unjudged", False),
    ]
    assert exchanges[0]["why"] == "the response was not seen"
    operations = client.operations()
    assert operations["GET /old"]["deprecated"] is True
    assert operations["GET /users/{userId}"]["verdicts"] == {"conforming": 1, "deviating": 1, "unjudged": 1}
    assert operations["GET /users/{userId}"]["operation_id"] == "get /users/{userid}"
    assert operations["GET /admin/{id}"]["kind"] == "provisional"


def test_a_deviation_is_kept_once_with_count_callers_and_a_sample(client: Client) -> None:
    api = upload(client, host="shop.local:8080")["api"]
    client.send(*[record(n, path=f"/users/{n}", status=500) for n in range(3)], *both(9, status=404))
    assert {one["pointer"]: one["count"] for one in client.items("/deviations")} == {"500": 3, "404": 1}
    (one,) = client.items("/deviations", consumer="curl/8.0")
    assert (one["kind"], one["where"], one["operation"]) == (
        "unknown-status",
        "status",
        "GET /users/{userId}",
    )
    assert one["callers"] == [{"kind": "user_agent", "name": "curl/8.0", "count": 3}]
    assert client.get(f"/exchanges/{one['exchange']}")["deviations"] == [
        {key: one[key] for key in ("kind", "where", "pointer", "message", "severity", "fault")}
    ]
    assert one["first_seen"] < one["last_seen"]
    assert {one["api"] for one in client.items("/deviations", api=api)} == {one["api"]}


def test_deviations_are_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.store.sqlite.writing.deviations.MAX_DEVIATIONS", 3)
    upload(client, host="shop.local:8080")
    client.send(*[record(n, status=500 + n) for n in range(8)])
    assert len(client.items("/deviations")) == 3
    assert client.server_ledger() == {"stored": 8, "deviations_over_bound": 5}


def test_an_upload_judges_what_is_stored_and_loses_no_count(client: Client) -> None:
    client.send(*both(0), *both(1, "/users/2"), *both(2, "/admin/7"), *both(3, "/old"))
    (api,) = client.items("/apis")
    answer = client.http.put(f"/api/v1/apis/{api['id']}/spec", content=USERS)
    assert answer.json()["api"] == api["id"]
    wait_for(lambda: verdicts(client) == {"conforming": 2, "shadow": 1, "zombie": 1}, "verdicts")
    assert {key: one["count"] for key, one in client.operations().items()} == {
        "GET /users/{userId}": 2,
        "GET /admin/{id}": 1,
        "GET /old": 1,
    }
    assert [one["operation"] for one in client.items("/deviations")] == ["GET /admin/{id}"]


def test_counts_whose_samples_are_gone_move_with_their_template(client: Client) -> None:
    client.send(*[record(n, path=f"/users/{n}") for n in range(5)], record(5, path="/admin/1"))
    state = client.core
    drop_oldest(state.store, 100)
    upload(client, host="shop.local:8080")
    wait_for(lambda: "GET /users/{userId}" in client.operations(), "the operation of the specification")
    assert {key: one["count"] for key, one in client.operations().items()} == {
        "GET /users/{userId}": 5,
        "GET /admin/{id}": 1,
    }


def test_a_newer_specification_replaces_deviations_and_templates(client: Client) -> None:
    api = upload(client, host="shop.local:8080")["api"]
    client.send(record(0), record(1, path="/admin/7"), record(2, status=500))
    newer = spec("GET /users/{name}", "GET /admin/{page}", version="2")
    client.http.put(f"/api/v1/apis/{api}/spec", content=newer).raise_for_status()
    wait_for(lambda: verdicts(client) == {"conforming": 2, "deviating": 1}, "verdicts")
    wait_for(lambda: len(client.items("/deviations")) == 1, "one deviation")
    assert {key: one["count"] for key, one in client.operations().items()} == {
        "GET /users/{name}": 2,
        "GET /admin/{page}": 1,
    }
    assert [one["version"] for one in client.get(f"/apis/{api}")["specs"]] == ["2"]
    kept = client.http.get(f"/api/v1/apis/{api}/spec", follow_redirects=True)
    assert kept.content == newer


def test_judging_goes_on_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Jobs, "judge_again", lambda self, api: None)
        with serving(tmp_path) as client:
            client.send(record(0))
            upload(client, host="shop.local:8080")
            assert verdicts(client) == {}
    with serving(tmp_path) as client:
        wait_for(lambda: verdicts(client) == {"conforming": 1}, "verdicts")


def test_a_document_that_cannot_be_read_is_refused_with_where_and_why(client: Client) -> None:
    client.send(record(0))
    (api,) = client.items("/apis")
    client.http.put(f"/api/v1/apis/{api['id']}/spec", content=USERS).raise_for_status()
    wait_for(lambda: "GET /users/{userId}" in client.operations(), "the operation of the specification")
    for method, path in (("POST", "/specs?host=x"), ("PUT", f"/apis/{api['id']}/spec")):
        answer = client.http.request(method, f"/api/v1{path}", content=b"{nonsense")
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["where"], answer.json()["reason"]) == ("line 1", "not JSON")
    assert client.http.get(f"/api/v1/apis/{api['id']}/spec").content == USERS
    assert client.operations()["GET /users/{userId}"]["count"] == 1


def test_a_specification_before_any_traffic_waits_for_its_server(client: Client) -> None:
    uploaded = upload(client, host="127.0.0.1:8080")
    (declared,) = client.items("/apis")
    assert (declared["kind"], declared["id"], declared["exchanges"]) == ("declared", uploaded["api"], 0)
    client.send(record(0, host=b"anything"))
    (api,) = client.items("/apis")
    assert (api["kind"], api["verdicts"]) == ("process", {"conforming": 1})
    assert client.get(f"/apis/{uploaded['api']}") == api


def test_a_name_in_host_does_not_lead_an_address_astray(client: Client) -> None:
    upload(client, host="127.0.0.1:8080")
    client.send(record(0, host=b"127.0.0.1:8080", server=Endpoint("127.0.0.1", 9999, 1)))
    assert sorted(api["kind"] for api in client.items("/apis")) == ["declared", "process"]


def test_a_workload_can_be_named_before_and_after_it_is_seen(client: Client) -> None:
    shop = Endpoint("10.1.0.5", 8080, 7, pod="shop-1", namespace="store", workload="shop")
    before = upload(client, workload="store/shop")
    client.send(record(0, server=shop))
    after = upload(client, spec("GET /more"), workload="store/shop")
    (api,) = client.items("/apis")
    assert after["api"] == api["id"]
    assert client.get(f"/apis/{before['api']}")["id"] == api["id"]
    assert api["name"] == "store/shop"


def test_several_specifications_may_share_a_host(client: Client) -> None:
    upload(client, spec("GET /users/{id}", base_paths=["/users"], title="Users"), host="shop.local:8080")
    upload(client, spec("GET /orders/{id}", base_paths=["/orders"], title="Orders"), host="shop.local:8080")
    client.send(record(0), record(1, path="/orders/1"), record(2, path="/else"))
    (api,) = client.items("/apis")
    assert {one["title"] for one in api["specs"]} == {"Users", "Orders"}
    assert api["verdicts"] == {"conforming": 2, "shadow": 1}


def test_where_the_document_names_its_server_no_host_is_needed(client: Client) -> None:
    servers = [{"url": "http://shop.local:8080/v1"}, {"url": "https://{tenant}.example"}]
    upload(client, spec("GET /users/{id}", servers=servers))
    client.send(record(0))
    assert verdicts(client) == {"conforming": 1}
    answer = client.http.post("/api/v1/specs", content=USERS)
    assert answer.status_code == 422
    assert "give host" in answer.json()["detail"]


def test_an_id_that_no_api_has_is_not_found(client: Client) -> None:
    assert client.http.put("/api/v1/apis/nope/spec", content=USERS).status_code == 404
    assert client.http.post("/api/v1/specs?api=nope", content=USERS).status_code == 404
    assert client.http.get("/api/v1/apis/nope/spec").status_code == 404


def test_what_is_removed_no_longer_judges_and_no_count_is_lost(client: Client) -> None:
    uploaded = upload(client, host="shop.local:8080")
    kept = upload(client, spec("GET /carts"), api=uploaded["api"], host="other.local")
    client.send(*both(0), *both(1, status=500), *both(2, "/old"))
    before = sum(verdicts(client).values())
    assert client.http.delete(f"/api/v1/specs/{uploaded['id']}").status_code == 204
    wait_for(lambda: verdicts(client) == {"shadow": before}, "judgement")
    assert [one["id"] for one in client.items("/specs")] == [kept["id"]]
    assert client.http.delete(f"/api/v1/specs/{uploaded['id']}").status_code == 404


def test_an_engine_that_fails_costs_the_verdict_and_not_the_exchange(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    upload(client, host="shop.local:8080")
    client.send(record(0, path="/explode"))
    (exchange,) = client.items("/exchanges")
    assert exchange["verdict"] is None
    assert client.server_ledger()["matching_failed"] == 1
    assert "secret value" not in caplog.text


def test_a_title_of_megabytes_is_neither_listed_nor_logged_whole(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    document = spec("GET /x", title="t" * 1_000_000, version="v" * 1_000_000)
    answer = client.http.post("/api/v1/specs?workload=/w", content=document)
    assert answer.status_code == 201, answer.text[:1000]
    assert {len(one[name]) for one in client.items("/specs") for name in ("title", "version")} == {200}
    assert len(client.http.get("/api/v1/apis").content) < 2000
    assert max(len(one.getMessage()) for one in caplog.records) < 500


def test_specifications_are_listed_without_their_documents(client: Client) -> None:
    ids = [upload(client, spec("GET /", title=f"n{n}"), host=f"h{n}")["id"] for n in range(3)]
    assert [one["id"] for one in client.items("/specs", limit=1)] == ids[::-1]
    assert client.items("/specs")[0].keys() == {
        "id", "api", "title", "version", "host", "base_path", "uploaded", "warnings",
    }  # fmt: skip


OPENAPI = b"""
openapi: 3.1.0
info: {title: Shop, version: '1'}
servers: [{url: /elsewhere}]
paths:
  /users/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
    get:
      operationId: getUser
      responses:
        '200':
          description: one
          content: {application/json: {schema: {type: object, properties: {id: {type: integer}}}}}
"""


def test_with_the_real_engine(tmp_path: Path) -> None:
    with serving(tmp_path, load) as client:
        upload(client, OPENAPI, host="shop.local:8080", base_path="/v1")
        client.send(*both(0, "/v1/users/1"), *both(1, "/users/1"), *both(2, "/v1/users/1?page=2"))
        exchanges = client.items("/exchanges")
        assert [(one["verdict"], one["operation"]) for one in exchanges] == [
            ("deviating", "GET /v1/users/{id}"),
            ("shadow", "GET /users/{id}"),
            ("deviating", "GET /v1/users/{id}"),
        ]
        assert {(one["kind"], one["pointer"]): one["count"] for one in client.items("/deviations")} == {
            ("type", "/id"): 2,
            ("unknown-parameter", "page"): 1,
            ("unknown-path", ""): 1,
        }
        answer = client.http.post("/api/v1/specs?host=x", content=b"openapi: 3.1.0\ninfo: [")
        assert answer.status_code == 422
        assert answer.json()["where"].startswith("line ")
