from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from server.analysis.specs.load import load
from server.ui import upload
from tests.server.records import both
from tests.server.running import Client, serving
from tests.server.ui.shop import SPEC, only_api


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path, load) as client:
        client.send(*both())
        yield client


def sent(
    client: Client, document: Any = SPEC, headers: dict[str, str] | None = None, **fields: str
) -> httpx.Response:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    files = {"document": ("openapi.json", raw, "application/json")}
    return client.http.post(f"/apis/{only_api(client)}/spec", files=files, data=fields, headers=headers)


def specs(client: Client) -> list[str]:
    return [one["title"] for one in client.items("/specs")]


def test_the_form_uploads_a_specification_and_leads_to_it(client: Client) -> None:
    answer = sent(client)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/apis/{only_api(client)}/spec")
    assert specs(client) == ["Shop"]


def test_a_second_one_takes_the_place_of_the_first_unless_it_is_to_stand_beside_it(client: Client) -> None:
    other = {**SPEC, "info": {"title": "Other", "version": "1"}, "servers": [{"url": "/v2"}]}
    sent(client)
    sent(client, other)
    assert specs(client) == ["Other"]
    sent(client, beside="yes")
    assert specs(client) == ["Shop", "Other"]


def test_what_is_not_a_specification_is_refused_with_the_reason(client: Client) -> None:
    answer = sent(client, b"<script>alert(1)</script>")
    assert answer.status_code == 422
    assert "The specification was rejected" in answer.text
    assert "<script>" not in answer.text
    assert specs(client) == []


def test_a_form_without_a_file_is_refused(client: Client) -> None:
    assert "Choose a file first" in sent(client, b"").text
    answer = client.http.post(f"/apis/{only_api(client)}/spec", data={"document": "text"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "raw", [b"", b"--x", b"--x\r\n\r\n\r\n--x--", b"--x\r\ncontent-disposition: form-data\r\n\r\na"]
)
def test_no_broken_form_is_more_than_a_refusal(client: Client, raw: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.http.post(f"/apis/{only_api(client)}/spec", content=raw, headers=headers)
    assert answer.status_code in (400, 422)


def test_a_document_beyond_the_bound_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "MAX_SPEC", 1000)
    assert sent(client, b" " * (upload.FRAMING + 2000)).status_code == 413


def test_an_api_that_is_not_there_takes_none(client: Client) -> None:
    files = {"document": ("openapi.json", json.dumps(SPEC).encode())}
    assert client.http.post("/apis/nope/spec", files=files).status_code == 404


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_form_of_another_site_changes_nothing(client: Client, headers: dict[str, str]) -> None:
    assert sent(client, headers=headers).status_code == 403
    assert specs(client) == []
