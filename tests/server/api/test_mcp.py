"""`/mcp` answers the official client over HTTP, and shows no more than the API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx2 import AsyncClient
from mcp import Client as Assistant
from mcp.client.streamable_http import streamable_http_client

from server.api import mcp
from server.config import digest
from tests.server.assistant import error_of, everything, result_of, text_of, with_client
from tests.server.engine import spec
from tests.server.records import both, record
from tests.server.running import Client, serving

INGEST, ADMIN = "ingest-token-0123456789", "admin-token-0123456789"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
HEADERS = {"Accept": "application/json, text/event-stream"}


@asynccontextmanager
async def at(client: Client, token: str = "") -> AsyncIterator[Any]:
    """The transport to a server's /mcp."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{client.http.base_url}/mcp"
    async with (
        AsyncClient(headers=headers, trust_env=False) as own,
        streamable_http_client(url, http_client=own) as streams,
    ):
        yield streams


def posted(client: Client, content: Any = LIST, **headers: str) -> httpx.Response:
    return client.http.post("/mcp", json=content, headers={**HEADERS, **headers})


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_assistant_reads_over_http_in_either_version_of_the_protocol(client: Client, mode: str) -> None:
    client.send(*both(0), record(1))

    async def use(assistant: Assistant) -> None:
        (api,) = await result_of(assistant, "list_apis")
        assert api["exchanges"] == 2
        page = json.loads(await text_of(assistant, "list_exchanges", limit=1))
        last = json.loads(await text_of(assistant, "list_exchanges", limit=1, cursor=page["next"]))
        assert page["items"][0]["id"] != last["items"][0]["id"]
        assert "did you mean status?" in await error_of(assistant, "list_exchanges", query="statsu:500")
        assert await error_of(assistant, "get_exchange", exchange="x") == (
            "no such exchange, or it was deleted by retention"
        )
        (content,) = (await assistant.read_resource("spectap://ledger")).contents
        assert "exchanges" in content.model_dump_json()

    with_client(at(client), use, mode=mode)


def test_its_answers_are_those_of_the_api(client: Client) -> None:
    client.send(*both(0), *(record(number) for number in range(1, 4)))
    client.http.post("/api/v1/specs?host=shop.local:8080", content=spec("GET /users/{id}", "!GET /old"))

    async def use(assistant: Assistant) -> None:
        for tool, path in (
            ("list_apis", "/apis"),
            ("list_operations", "/operations"),
            ("list_deviations", "/deviations"),
            ("list_consumers", "/consumers"),
            ("list_exchanges", "/exchanges"),
        ):
            assert await result_of(assistant, tool) == client.get(path)["items"]
        assert await result_of(assistant, "get_ledger") == client.get("/ledger")

    with_client(at(client), use)


def test_an_earlier_id_leads_to_the_present_one(client: Client) -> None:
    client.send(record(0, "client"))
    (earlier,) = client.items("/apis")
    client.send(*both(0), *both(1))
    (api,) = client.items("/apis")
    assert api["merged"] == [earlier["id"]]
    client.http.put(f"/api/v1/apis/{api['id']}/spec", content=spec("GET /users/{id}")).raise_for_status()

    async def use(assistant: Assistant) -> None:
        found = await result_of(assistant, "get_specification", api=earlier["id"])
        assert '"Shop"' in found["text"]

    with_client(at(client), use)


def test_it_needs_the_token_that_reading_needs(tmp_path: Path) -> None:
    with serving(tmp_path, ingest_token=digest(INGEST), admin_token=digest(ADMIN)) as client:
        assert posted(client).status_code == 401
        assert posted(client, Authorization=f"Bearer {INGEST}").status_code == 403
        answer = posted(client, Authorization=f"Bearer {ADMIN}")
        assert len(answer.json()["result"]["tools"]) > 8

        async def use(assistant: Assistant) -> None:
            assert await result_of(assistant, "list_apis") == []

        with_client(at(client, ADMIN), use)


def test_pages_of_other_sites_cannot_use_it(client: Client) -> None:
    assert posted(client, Host="evil.example").status_code == 403
    assert posted(client, Origin="http://evil.example").status_code == 403
    assert posted(client).status_code == 200


def test_what_is_no_request_of_the_protocol_is_refused(client: Client) -> None:
    assert client.http.get("/mcp").status_code == 405
    assert client.http.delete("/mcp").status_code == 405
    assert posted(client, {"no": "message"}).status_code == 400
    assert posted(client, {**LIST, "params": {"x": "y" * mcp.MOST_BODY}}).status_code == 413
    assert client.http.post("/mcp", content=b"[" * 5000, headers=HEADERS).status_code == 400
    assert posted(client).status_code == 200


def test_without_the_sdk_it_says_how_to_install_it(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp, "find_spec", lambda _: None)
    answer = posted(client)
    assert answer.status_code == 501
    assert "install spectap with the extras server,mcp" in answer.json()["detail"]


def test_every_answer_of_a_server_in_use_is_bounded(client: Client) -> None:
    client.send(*both(0), *(record(number) for number in range(1, 20)))
    client.http.post("/api/v1/specs?host=shop.local:8080", content=spec("GET /users/{id}"))
    answers = with_client(at(client), everything)
    assert len(answers) > 25
    assert max(map(len, answers.values())) < 50_000
