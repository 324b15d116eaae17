"""Decisions on deviations on a page: with a form, and with the API's effect."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from agent.wire import Body
from server.analysis.specs.load import load
from tests.server.records import both, record
from tests.server.running import Client, serving, wait_for
from tests.server.ui.reading import read
from tests.server.ui.shop import CANARY, describe, filled, only_api


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path, load) as client:
        filled(client)
        yield client


def path(client: Client, kind: str = "unknown-parameter") -> str:
    (number,) = (one["id"] for one in client.items("/deviations", state="all") if one["kind"] == kind)
    return f"/deviations/{number}"


def text(client: Client, address: str) -> str:
    answer = client.http.get(address)
    assert answer.status_code == 200, answer.text
    return " ".join(read(answer.text).text.split())


def decide(client: Client, headers: dict[str, str] | None = None, **said: str) -> httpx.Response:
    return client.http.post(path(client), data=said, headers=headers)


def states(client: Client) -> dict[str, str]:
    return {one["kind"]: one["state"] for one in client.items("/deviations", state="all")}


def test_the_page_says_what_differs_and_links_lead_to_it(client: Client) -> None:
    said = text(client, path(client))
    assert "unknown-parameter GET /users/{id}" in said
    assert "a query parameter that is not described" in said
    (shown,) = client.items("/exchanges", verdict="deviating")
    for address in (f"/apis/{only_api(client)}", "/deviations", f"/exchanges/{shown['id']}"):
        assert path(client) in read(client.http.get(address).text).links


def test_how_often_its_operation_deviates_is_shown_over_time(client: Client) -> None:
    assert "Judged calls of this operation" not in text(client, path(client))
    now = time.time_ns() - 10**9
    client.send(*both(30, path="/users/3?colour=red", start=now), *both(31, path="/users/3", start=now))
    said = text(client, path(client))
    assert "Judged calls of this operation per hour in 7 days, by verdict 2 calls" in said
    assert re.search(r"As a table When [a-z]+ [a-z]+ \d{4}-\d\d-\d\d \d\d:00 UTC 1 1", said)


def test_the_specification_is_beside_a_body_with_the_differing_places_marked(client: Client) -> None:
    body = b'{"id": 7, "name": "Ada"}'
    shown = record(20, path="/users/3")
    assert shown.response is not None
    client.send(replace(shown, response=replace(shown.response, body=Body(len(body), body, "complete"))))
    wait_for(lambda: "type" in states(client), "deviation")
    found = next(one for one in client.items("/deviations") if one["kind"] == "type")
    said = text(client, f"/deviations/{found['id']}")
    assert "As specified Shop 1.2 /components/schemas/User type: object" in said
    html = client.http.get(f"/deviations/{found['id']}").text
    assert "<mark>  id:</mark>" in html
    assert (
        '<mark>  &#34;id&#34;: 7,</mark> <span class="note">← not of type string, but a number</span>' in html
    )
    assert "not of type string, but a number" in text(client, f"/exchanges/{found['exchange']}")


def test_to_ignore_takes_a_reason_and_can_be_taken_back(client: Client) -> None:
    answer = decide(client, decide="ignore", reason="tracking, häufig", by="Ada")
    assert (answer.status_code, answer.headers["location"]) == (303, path(client))
    shown = text(client, path(client))
    assert re.search("Ignored (just now|[0-9]+ s ago) by Ada: tracking, häufig", shown)
    assert "unknown-parameter" not in text(client, "/deviations")
    assert "unknown-parameter ignored" in text(client, "/deviations?state=ignored")
    decide(client, decide="undo")
    assert states(client) == {"unknown-parameter": "open", "unknown-path": "open"}


@pytest.mark.parametrize(
    "said", [{"reason": " "}, {}, {"reason": "x" * 1001}, {"reason": "x", "by": "x" * 201}]
)
def test_what_is_no_reason_is_refused_on_the_page(client: Client, said: dict[str, str]) -> None:
    answer = client.http.post(path(client), data={"decide": "ignore", **said})
    assert answer.status_code == 422
    assert "Not saved" in answer.text
    assert states(client)["unknown-parameter"] == "open"


def test_what_is_accepted_is_shown_as_a_change_and_the_document_can_be_had(client: Client) -> None:
    assert decide(client, decide="accept").status_code == 303
    page = read(client.http.get(path(client)).text)
    assert "Add /paths/~1users~1{id}/get/parameters" in " ".join(page.text.split())
    assert '"name": "colour"' in page.text
    (document,) = (link for link in page.links if "/document" in link)
    assert "colour" in client.http.get(document).text
    assert "unknown-parameter accepted" in text(client, "/deviations")


def test_what_cannot_be_accepted_says_so_on_the_page(client: Client) -> None:
    broken = Body(1, b"{", "complete")
    views = [one for one in both(8, "/users/8") if one.response]
    client.send(*[replace(one, response=replace(one.response, body=broken)) for one in views if one.response])
    wait_for(lambda: "malformed-body" in states(client), "deviation")
    answer = client.http.post(path(client, "malformed-body"), data={"decide": "accept"})
    assert answer.status_code == 409
    assert "Cannot be accepted" in answer.text
    assert states(client)["malformed-body"] == "open"


def test_a_reason_is_text_and_no_markup(client: Client) -> None:
    decide(client, decide="ignore", reason=CANARY, by=CANARY)
    answer = client.http.get(path(client))
    assert CANARY in read(answer.text).text
    assert "<img" not in answer.text.replace('<img src="/static', "")


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_form_of_another_site_decides_nothing(client: Client, headers: dict[str, str]) -> None:
    assert decide(client, headers, decide="ignore", reason="x").status_code == 403
    assert states(client)["unknown-parameter"] == "open"


@pytest.mark.parametrize("id", ["0", "x", "9" * 30])
def test_what_is_not_there_is_a_page_that_says_so(client: Client, id: str) -> None:
    assert client.http.get(f"/deviations/{id}").status_code == 404
    assert client.http.post(f"/deviations/{id}", data={"decide": "undo"}).status_code == 404


def test_another_form_is_refused_and_so_is_a_large_one(client: Client) -> None:
    assert decide(client).status_code == 400
    assert decide(client, decide="ignore", reason="x" * 40_000).status_code == 413


def test_a_page_of_a_deviation_that_a_new_specification_settled_is_gone(client: Client) -> None:
    address = path(client, "unknown-path")
    info = {"title": "All", "version": "1"}
    document = {"openapi": "3.1.0", "info": info, "paths": {"/{all+}": {"get": {}}}}
    describe(client, document, f"/apis/{only_api(client)}/spec")
    wait_for(lambda: "unknown-path" not in states(client), "judgement")
    assert client.http.get(address).status_code == 404
