"""Decisions on deviations: ignoring, and changing the specification."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.analysis.specs.load import load
from tests.server.records import record
from tests.server.running import Client, serving, wait_for
from tests.server.sql import drop_oldest

SHOP = """
openapi: 3.1.0
info: {title: Shop, version: '1'}
paths:
  /users/{id}:
    get:
      responses:
        '200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/User'}}}}
  /old: {get: {deprecated: true, responses: {'200': {description: ok}}}}
  /never: {get: {operationId: never, responses: {'200': {description: ok}}}}
components:
  schemas: {User: {type: object, properties: {id: {type: integer}}}}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path, load) as client:
        upload(client, SHOP)
        yield client


def upload(client: Client, text: str) -> str:
    answer = client.http.post("/api/v1/specs?host=shop.local:8080", content=text.encode())
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def the_api(client: Client) -> str:
    return str(client.items("/apis")[0]["id"])


def decide(client: Client, one: Any, what: str, **said: Any) -> Any:
    return client.http.post(f"/api/v1/deviations/{one['id']}/{what}", json=said)


def verdict(client: Client) -> str:
    return str(client.items("/exchanges")[0]["verdict"])


def test_what_is_ignored_is_silent_with_a_reason_and_still_counted(shop: Client) -> None:
    shop.send(record(0))
    (one,) = shop.items("/deviations")
    assert (one["state"], one["kind"]) == ("open", "type")
    assert decide(shop, one, "ignore", reason="known, see the roadmap", by="Kim").status_code == 204
    assert shop.items("/deviations") == []
    shop.send(record(1))
    assert verdict(shop) == "conforming"
    (kept,) = shop.items("/deviations", state="ignored")
    assert (kept["reason"], kept["decided_by"], kept["count"]) == ("known, see the roadmap", "Kim", 2)
    assert kept["decided"] is not None
    assert shop.items("/deviations", state="all") == [kept]


def test_what_is_ignored_leaves_other_deviations_as_they_are(shop: Client) -> None:
    shop.send(record(0, "server", "/users/1?page=1"))
    one = next(one for one in shop.items("/deviations") if one["kind"] == "type")
    decide(shop, one, "ignore", reason="known")
    shop.send(record(1, "server", "/users/1?page=1"))
    assert verdict(shop) == "deviating"
    assert [left["kind"] for left in shop.items("/deviations")] == ["unknown-parameter"]


def test_verdicts_of_stored_calls_follow_the_present_decision_and_earlier_ones_stay(shop: Client) -> None:
    def verdicts() -> Any:
        return shop.items("/apis")[0]["verdicts"]

    shop.send(record(0), record(1), record(2, path="/old"))
    drop_oldest(shop.core.store, 1)
    (one,) = shop.items("/deviations")
    before = shop.get(f"/apis/{the_api(shop)}/coverage")
    decide(shop, one, "ignore", reason="known")
    wait_for(lambda: verdicts() == {"deviating": 1, "conforming": 1, "zombie": 1}, "verdicts")
    assert {one["verdict"] for one in shop.items("/exchanges")} == {"conforming", "zombie"}
    shop.send(record(3))
    assert verdicts() == {"deviating": 1, "conforming": 2, "zombie": 1}
    assert [each["count"] for each in shop.items("/deviations", state="ignored")] == [3]
    shop.http.delete(f"/api/v1/deviations/{one['id']}/ignore").raise_for_status()
    wait_for(lambda: verdicts() == {"deviating": 3, "zombie": 1}, "verdicts")
    assert [each["count"] for each in shop.items("/deviations")] == [3]
    after = shop.get(f"/apis/{the_api(shop)}/coverage")
    assert (before["exchanges"], after["exchanges"]) == (3, 4)


def test_a_decision_that_was_not_followed_up_is_so_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path, load) as client:
        upload(client, SHOP)
        client.send(record(0))
        (one,) = client.items("/deviations")
        client.core.jobs.stop(10)
        decide(client, one, "ignore", reason="known")
        assert verdict(client) == "deviating"
    with serving(tmp_path, load) as client:
        wait_for(lambda: verdict(client) == "conforming", "the verdict")
        assert client.items("/apis")[0]["verdicts"] == {"conforming": 1}


def test_a_decision_can_be_undone(shop: Client) -> None:
    shop.send(record(0))
    (one,) = shop.items("/deviations")
    decide(shop, one, "ignore", reason="known")
    assert shop.http.delete(f"/api/v1/deviations/{one['id']}/ignore").status_code == 204
    assert [left["state"] for left in shop.items("/deviations")] == ["open"]
    shop.send(record(1))
    assert verdict(shop) == "deviating"


def test_a_decision_outlives_the_server_and_the_next_specification(tmp_path: Path) -> None:
    with serving(tmp_path, load) as client:
        upload(client, SHOP)
        client.send(record(0))
        decide(client, client.items("/deviations")[0], "ignore", reason="known")
    with serving(tmp_path, load) as client:
        upload(client, SHOP.replace("version: '1'", "version: '2'"))
        wait_for(lambda: verdict(client) == "conforming", "a verdict")
        client.seq = 5
        client.send(record(7))
        assert verdict(client) == "conforming"
        assert client.items("/deviations") == []


def test_to_ignore_takes_a_reason_and_a_deviation(shop: Client) -> None:
    shop.send(record(0))
    (one,) = shop.items("/deviations")
    assert decide(shop, one, "ignore").status_code == 422
    assert decide(shop, one, "ignore", reason="").status_code == 422
    for id in ("999", "nope", "-1", "9" * 30):
        assert decide(shop, {"id": id}, "ignore", reason="x").status_code == 404


def test_what_is_accepted_is_a_change_that_makes_the_call_conform(shop: Client) -> None:
    shop.send(record(0))
    (one,) = shop.items("/deviations")
    proposed = decide(shop, one, "accept", by="Kim", reason="ids are text now").json()
    place = "/components/schemas/User/properties/id/type"
    assert proposed["patch"] == [{"op": "add", "path": place, "value": ["integer", "string"]}]
    assert (proposed["by"], proposed["reason"]) == ("Kim", "ids are text now")
    (listed,) = shop.items(f"/apis/{the_api(shop)}/proposals")
    assert listed == proposed
    assert [left["state"] for left in shop.items("/deviations")] == ["accepted"]
    document = shop.http.get(f"/api/v1/apis/{the_api(shop)}/proposals/document")
    upload(shop, document.text)
    wait_for(lambda: verdict(shop) == "conforming", "a verdict")
    wait_for(lambda: shop.items("/deviations") == [], "no deviation")
    assert shop.items(f"/apis/{the_api(shop)}/proposals") == []


def test_several_acceptances_make_one_document(shop: Client) -> None:
    shop.send(
        record(0, "server", "/users/1?page=1"), record(1, path="/admin/7"), record(2, path="/users/1?z=1")
    )
    for one in shop.items("/deviations"):
        assert decide(shop, one, "accept").status_code == 200
    document = shop.http.get(f"/api/v1/apis/{the_api(shop)}/proposals/document")
    assert document.headers["content-type"].startswith("application/yaml")
    said = yaml.safe_load(document.text)
    names = [one["name"] for one in said["paths"]["/users/{id}"]["get"]["parameters"]]
    assert sorted(names) == ["page", "z"]
    upload(shop, document.text)
    wait_for(lambda: {one["verdict"] for one in shop.items("/exchanges")} == {"conforming"}, "verdicts")


def test_an_acceptance_can_be_undone_and_the_others_stay(shop: Client) -> None:
    shop.send(record(0, "server", "/users/1?page=1"))
    found = shop.items("/deviations")
    for one in found:
        decide(shop, one, "accept")
    undone = next(one for one in found if one["kind"] == "unknown-parameter")
    assert shop.http.delete(f"/api/v1/deviations/{undone['id']}/accept").status_code == 204
    assert [one["kind"] for one in shop.items(f"/apis/{the_api(shop)}/proposals")] == ["type"]


def test_what_no_specification_can_describe_is_not_accepted(shop: Client) -> None:
    broken = record(0)
    assert broken.response is not None
    shop.send(record(0, response=type(broken.response)(
        200, (), (), type(broken.response.body)(1, b"{", "complete"), "application/json"
    )))  # fmt: skip
    (one,) = shop.items("/deviations")
    assert one["kind"] == "malformed-body"
    assert decide(shop, one, "accept").status_code == 409
    assert [left["state"] for left in shop.items("/deviations")] == ["open"]


def test_a_base_path_that_was_given_stays_out_of_the_document(tmp_path: Path) -> None:
    with serving(tmp_path, load) as client:
        answer = client.http.post("/api/v1/specs?host=shop.local:8080&base_path=/v1", content=SHOP.encode())
        assert answer.status_code == 201
        client.send(record(0, path="/v1/admin/7"))
        (one,) = client.items("/deviations")
        patch = decide(client, one, "accept").json()["patch"]
        assert [change["path"] for change in patch] == ["/paths/~1admin~1{id}"]
        document = client.http.get(f"/api/v1/apis/{the_api(client)}/proposals/document").text
        assert "servers" not in yaml.safe_load(document)


def test_a_json_document_stays_json(tmp_path: Path) -> None:
    with serving(tmp_path, load) as client:
        upload(client, json.dumps(yaml.safe_load(SHOP)))
        client.send(record(0))
        decide(client, client.items("/deviations")[0], "accept")
        document = client.http.get(f"/api/v1/apis/{the_api(client)}/proposals/document")
        assert json.loads(document.content)["components"]["schemas"]["User"]["properties"]["id"] == {
            "type": ["integer", "string"]
        }


def operations(client: Client, **params: Any) -> list[str]:
    return [one["operation"] for one in client.items(f"/apis/{the_api(client)}/operations", **params)]


def test_operations_are_told_apart_by_how_they_stand_to_the_specification(shop: Client) -> None:
    shop.send(record(0), record(1, path="/old"), record(2, path="/admin/7"), record(3, path="/admin/8"))
    assert operations(shop, state="shadow") == ["GET /admin/{id}"]
    assert operations(shop, state="zombie") == ["GET /old"]
    assert operations(shop, state="unused") == ["GET /never"]
    (shadow,) = shop.items(f"/apis/{the_api(shop)}/operations", state="shadow")
    assert shadow["count"] == 2
    (caller,) = shadow["callers"]
    assert (caller["name"], caller["count"]) == ("curl/8.0", 2)
    assert caller["first_seen"] == "2026-11-23T12:00:00.000000000Z"
    (unused,) = shop.items(f"/apis/{the_api(shop)}/operations", state="unused")
    assert (unused["kind"], unused["operation_id"], unused["first_seen"]) == ("unused", "never", None)


def test_unused_operations_come_in_pages(tmp_path: Path) -> None:
    paths = "".join(f"  /p{i}: {{get: {{responses: {{'200': {{description: ok}}}}}}}}\n" for i in range(7))
    with serving(tmp_path, load) as client:
        upload(client, f"openapi: 3.1.0\ninfo: {{title: t, version: '1'}}\npaths:\n{paths}")
        assert operations(client, state="unused", limit=3) == [f"GET /p{i}" for i in range(7)]
