"""Public ids: opaque text, and where an earlier id leads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import Consumer
from server.config import digest
from server.store import keys
from tests.server.engine import spec
from tests.server.records import both, record
from tests.server.running import Client, serving, wait_for
from tests.server.sql import sql

ID = re.compile("[0-9a-f]{16}")
STRANGE = ("1", "-1", "1e3", "0" * 16, "f" * 16, "F" * 16, "7" * 17, "%00", "%ff", "\u0663", "x" * 5000)
OF_AN_API = (
    "",
    "/operations",
    "/spec",
    "/coverage",
    "/reconstructed",
    "/reconstructed/refused",
    "/reconstructed/versions",
    "/decisions",
    "/proposals",
)


def merged(client: Client) -> tuple[str, str]:
    """The id of an API known only from clients' views, and of the API it was merged into."""
    client.send(record(0, "client"))
    (before,) = client.items("/apis")
    client.send(*both(0), *both(1))
    (api,) = client.items("/apis")
    assert api["merged"] == [before["id"]]
    return str(before["id"]), str(api["id"])


def described(client: Client, api: str) -> str:
    """Uploads a specification that a call deviates from. Returns the deviation's id."""
    client.http.put(f"/api/v1/apis/{api}/spec", content=spec("GET /users/{id}")).raise_for_status()
    client.send(record(2, status=500))
    (found,) = wait_for(lambda: client.items("/deviations"), "deviation")
    return str(found["id"])


def test_what_the_outside_sees_is_text_of_one_form(client: Client) -> None:
    _, api = merged(client)
    deviation = described(client, api)
    ids = [api, deviation, client.items("/deviations")[0]["api"], client.items("/specs")[0]["api"]]
    ids += [one["api"] for one in client.items("/exchanges")]
    assert [id for id in ids if not ID.fullmatch(id)] == []


def test_an_api_without_calls_is_not_listed_and_answers_everywhere(client: Client) -> None:
    client.core.store.write(lambda unit: unit.apis.resolve(record(0))).result()
    ((number,),) = sql(client.core.store, "SELECT number FROM apis")
    id = keys.id_of(number)
    assert client.items("/apis") == []
    for path in OF_AN_API:
        answer = client.http.get(f"/api/v1/apis/{id}{path}")
        assert answer.status_code == 200 or answer.json()["detail"] != "no such API", path
    assert (client.get(f"/apis/{id}")["exchanges"], client.http.get(f"/apis/{id}").status_code) == (0, 200)


def test_reading_by_an_earlier_id_is_redirected_for_good(client: Client) -> None:
    old, api = merged(client)
    described(client, api)
    for path in OF_AN_API:
        answer = client.http.get(f"/api/v1/apis/{old}{path}")
        assert (answer.status_code, answer.headers["location"]) == (308, f"/api/v1/apis/{api}{path}")
    asked = client.http.get(f"/api/v1/apis/{old}/operations?limit=1&method=GET")
    assert asked.headers["location"] == f"/api/v1/apis/{api}/operations?limit=1&method=GET"
    assert client.http.get(str(asked.headers["location"])).json()["items"]
    page = client.http.get(f"/apis/{old}?a=x%20y")
    assert (page.status_code, page.headers["location"]) == (308, f"/apis/{api}?a=x%20y")
    assert "default-src" in page.headers["content-security-policy"]


def test_the_document_of_the_api_tells_of_redirects(client: Client) -> None:
    paths = client.http.get("/openapi.json").json()["paths"]
    routes = {path: known["get"] for path, known in paths.items() if "/apis/{id}" in path and "get" in known}
    assert len(routes) == 13
    assert {path for path, route in routes.items() if "308" not in route["responses"]} == set()


def test_writing_and_filtering_by_an_earlier_id_are_served(client: Client) -> None:
    old, api = merged(client)
    described(client, old)
    for path in ("/exchanges", "/deviations", "/apis"):
        assert client.items(path, api=old) == client.items(path, api=api) != []
    decision = {"kind": "rename", "place": ["users"], "name": "user"}
    assert client.http.post(f"/api/v1/apis/{old}/decisions", json=decision).status_code == 201
    assert len(client.get(f"/apis/{api}/decisions")["items"]) == 1


def test_a_deviation_is_known_by_the_id_it_had_before_its_api_was_merged(client: Client) -> None:
    client.send(record(0, "client"))
    (before,) = client.items("/apis")
    client.http.put(f"/api/v1/apis/{before['id']}/spec", content=spec("GET /users/{id}")).raise_for_status()
    client.send(record(1, "client", status=500))
    (old,) = wait_for(lambda: client.items("/deviations"), "deviation")
    client.send(*both(2))
    (new,) = client.items("/deviations")
    assert old["id"] != new["id"]
    answer = client.http.get(f"/deviations/{old['id']}")
    assert (answer.status_code, answer.headers["location"]) == (308, f"/deviations/{new['id']}")
    said = {"reason": "known"}
    assert client.http.post(f"/api/v1/deviations/{old['id']}/ignore", json=said).status_code == 204
    (ignored,) = client.items("/deviations", state="ignored")
    assert ignored["id"] == new["id"]


def unknown_statuses(client: Client) -> list[str]:
    return [str(one["id"]) for one in client.items("/deviations") if one["kind"] == "unknown-status"]


def test_the_same_deviation_has_the_same_id_again(client: Client) -> None:
    _, api = merged(client)
    deviation = described(client, api)
    client.http.put(f"/api/v1/apis/{api}/spec", content=spec("GET /other")).raise_for_status()
    wait_for(lambda: unknown_statuses(client) == [], "purge")
    assert client.http.get(f"/deviations/{deviation}").status_code == 404
    client.http.put(f"/api/v1/apis/{api}/spec", content=spec("GET /users/{id}")).raise_for_status()
    assert wait_for(lambda: unknown_statuses(client), "deviation") == [deviation]


@pytest.mark.parametrize("id", STRANGE)
def test_what_is_no_id_is_nothing_that_is_known(client: Client, id: str) -> None:
    merged(client)
    answers = [client.http.get(f"/api/v1/apis/{id}{path}") for path in OF_AN_API]
    assert {one.status_code for one in answers} == {404}
    assert {one.headers["content-type"] for one in answers} == {"application/problem+json"}
    said: dict[str, Any] = {"reason": "known"}
    others = [
        client.http.get(f"/apis/{id}"),
        client.http.get(f"/deviations/{id}"),
        client.http.post(f"/deviations/{id}", data={"decide": "undo"}),
        client.http.post(f"/api/v1/deviations/{id}/ignore", json=said),
        client.http.delete(f"/api/v1/deviations/{id}/accept"),
        client.http.put(f"/api/v1/apis/{id}/spec", content=spec("GET /x")),
    ]
    assert {one.status_code for one in others} == {404}
    assert client.http.get("/api/v1/exchanges", params={"api": id[:100]}).json()["items"] == []


def test_where_an_id_leads_is_said_to_nobody_without_the_token(tmp_path: Path) -> None:
    with serving(tmp_path, admin_token=digest("secret")) as client:
        client.http.headers["authorization"] = "Bearer secret"
        old, _ = merged(client)
        client.http.headers.pop("authorization")
        assert client.http.get(f"/api/v1/apis/{old}").status_code == 401
        assert client.http.get(f"/apis/{old}").headers["location"].startswith("/login")


def test_an_exchange_that_would_be_mixed_with_others_is_left_out_alone(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys, "BITS", 2)
    callers = [Consumer(user_agent=f"caller/{n}") for n in range(9)]
    client.send(*[replace(record(n), consumer=caller) for n, caller in enumerate(callers)])
    counted = client.items("/exchanges")
    counts = client.server_ledger()
    assert (counts["stored"], counts["stored"] - counts["id_collision"]) == (9, len(counted))
    assert 0 < len(counted) < 9
    seen = {one["consumer"]["name"] for one in counted}
    (operation,) = client.operations().values()
    assert {one["name"]: one["count"] for one in operation["callers"]} == dict.fromkeys(seen, 1)
    errors = [one.getMessage() for one in caplog.records if one.name == "server.ingest.accept"]
    assert len(errors) == counts["id_collision"]
    said = re.compile("an exchange is not counted: two consumers have the id [0-9a-f]{16}: .*")
    assert all(said.fullmatch(one) for one in errors)
    others = [replace(record(n, "client"), consumer=caller) for n, caller in enumerate(callers)]
    client.send(*others)
    later = client.server_ledger()
    assert (later["id_collision"], later["exchange_gone"]) == (counts["id_collision"],) * 2
    assert len(client.items("/exchanges")) == len(counted)
    for table in ("witnesses WHERE exchange", "alone WHERE number"):
        rows = sql(client.core.store, f"SELECT * FROM {table} NOT IN (SELECT number FROM exchanges)")
        assert rows == [], table
