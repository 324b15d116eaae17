"""The evidence of a deviation, and parts of specifications."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.analysis.specs.load import load
from tests.server.records import record
from tests.server.running import Client, serving

USER = {"type": "object", "properties": {"id": {"type": "integer"}}}
OPERATION: dict[str, Any] = {
    "responses": {
        "200": {
            "description": "A user.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/User"}}},
        }
    }
}
SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "1"},
    "paths": {"/users/{id}": {"get": OPERATION}},
    "components": {"schemas": {"User": USER}},
}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Client]:
    """A server with a call whose answer deviates from a specification."""
    with serving(tmp_path, load=load) as client:
        content = json.dumps(SPEC).encode()
        client.http.post("/api/v1/specs?host=shop.local:8080", content=content).raise_for_status()
        client.send(record(0))
        yield client


def test_a_deviation_comes_with_its_places_and_what_is_specified_there(shop: Client) -> None:
    one = next(one for one in shop.items("/deviations") if one["kind"] == "type")
    found = shop.get(f"/deviations/{one['id']}")
    assert {name: found[name] for name in one} == one
    assert [place["pointer"] for place in found["places"]] == ["/id"]
    (part,) = found["specified"]
    assert part["spec"]["title"] == "Shop"
    assert part["place"] == "/components/schemas/User"
    assert part["content"] == USER
    assert part["marked"] == ["properties", "id"]
    assert found["patch"] == []
    assert shop.get(f"/exchanges/{found['exchange']}")["id"] == found["exchange"]


def test_an_accepted_deviation_has_its_patch_and_an_ignored_one_is_answered(shop: Client) -> None:
    one = next(one for one in shop.items("/deviations") if one["kind"] == "type")
    path = f"/api/v1/deviations/{one['id']}"
    shop.http.post(f"{path}/accept", json={}).raise_for_status()
    assert shop.get(f"/deviations/{one['id']}")["patch"] != []
    shop.http.post(f"{path}/ignore", json={"reason": "known"}).raise_for_status()
    found = shop.get(f"/deviations/{one['id']}")
    assert (found["state"], found["reason"], found["patch"]) == ("ignored", "known", [])


def test_a_part_of_a_specification_is_found_by_operation_and_by_place(shop: Client) -> None:
    (api,) = shop.items("/apis")
    path = f"/apis/{api['id']}/spec/part"
    operation = shop.get(path, operation="GET /users/{id}")
    assert operation["place"] == "/paths/~1users~1{id}/get"
    assert operation["content"] == OPERATION
    for place in ("/components/schemas/User", "#/components/schemas/User"):
        part = shop.get(path, place=place)
        assert (part["place"], part["content"]) == ("/components/schemas/User", USER)
    assert shop.get(path, place="")["content"]["info"]["title"] == "Shop"


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("", 422, "give either operation or place"),
        ("?operation=GET%20/x&place=/info", 422, "give either operation or place"),
        ("?operation=GET%20/x", 404, "no specification of this API has that"),
        ("?place=/components/schemas/Nobody", 404, "no specification of this API has that"),
        ("?place=/paths/0/" + "9" * 3000, 404, "no specification of this API has that"),
    ],
)
def test_a_part_that_is_not_there_is_said(shop: Client, query: str, status: int, detail: str) -> None:
    (api,) = shop.items("/apis")
    answer = shop.http.get(f"/api/v1/apis/{api['id']}/spec/part{query}")
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)


def test_a_deviation_that_is_none_is_not_found(shop: Client) -> None:
    for id in ("x", "0" * 16):
        assert shop.http.get(f"/api/v1/deviations/{id}").status_code == 404
