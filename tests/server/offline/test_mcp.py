"""`spectap mcp`, started by the official client, in front of a real server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from mcp import Client as Assistant

from server import cli
from server.config import digest
from server.mcp.tools import TOOLS
from tests.server.assistant import SPECTAP, error_of, program, result_of, with_client
from tests.server.engine import spec
from tests.server.records import both, record
from tests.server.running import Client, serving

ADMIN = "admin-token-0123456789"


def test_an_assistant_goes_from_apis_to_an_exchange(client: Client) -> None:
    client.send(*both(0), record(1))
    client.http.post("/api/v1/specs?host=shop.local:8080", content=spec("GET /users/{id}", "GET /old"))

    async def use(assistant: Assistant) -> None:
        listed = (await assistant.list_tools()).tools
        assert [one.name for one in listed] == [one.name for one in TOOLS]
        assert all(one.annotations and one.annotations.read_only_hint for one in listed)
        (api,) = await result_of(assistant, "list_apis")
        assert api["exchanges"] == 2
        (used,) = await result_of(assistant, "list_operations", query=f"api:{api['id']}")
        assert used["operation"] == "GET /users/{id}"
        (unused,) = await result_of(assistant, "list_operations", state="unused")
        assert unused["operation"] == "GET /old"
        exchanges = await result_of(assistant, "list_exchanges", query="status:200", limit=1)
        one = await result_of(assistant, "get_exchange", exchange=exchanges[0]["id"])
        assert one["path"] == {"text": "/users/1"}
        document = await result_of(assistant, "get_specification", api=api["id"])
        assert '"Shop"' in document["text"]
        coverage = await result_of(assistant, "get_coverage", api=api["id"])
        assert (coverage["total"], coverage["hit"]) == (2, 1)
        assert (await result_of(assistant, "get_ledger"))["server"] == {"stored": 2, "witness": 1}

    with_client(program("--server", str(client.http.base_url)), use)


def test_resources_have_the_same_answers(client: Client) -> None:
    client.send(record(0))

    async def use(assistant: Assistant) -> None:
        listed = [str(one.uri) for one in (await assistant.list_resources()).resources]
        assert "spectap://apis" in listed
        (content,) = (await assistant.read_resource("spectap://apis")).contents
        assert "shop.local" in content.model_dump_json()
        (content,) = (await assistant.read_resource("spectap://query-fields/exchanges")).contents
        assert "took" in content.model_dump_json()
        with pytest.raises(Exception, match="there are: spectap://apis"):
            await assistant.read_resource("spectap://nothing")
        with pytest.raises(Exception, match="no such exchange"):
            await assistant.read_resource("spectap://exchanges/x")
        with pytest.raises(Exception, match="no such tool; there are: list_apis"):
            await assistant.call_tool("nothing", {})

    with_client(program("--server", str(client.http.base_url)), use)


def test_what_the_server_refuses_is_an_error_with_its_reason(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(ADMIN)

    async def use(assistant: Assistant) -> None:
        assert "did you mean status?" in await error_of(assistant, "list_exchanges", query="statsu:500")
        assert "no such exchange" in await error_of(assistant, "get_exchange", exchange="x")
        assert "no such API" in await error_of(assistant, "get_coverage", api="x")
        assert "not a cursor" in await error_of(assistant, "list_apis", cursor="x")

    async def without(assistant: Assistant) -> None:
        message = await error_of(assistant, "list_apis")
        assert "give --token-file with a valid token" in message
        assert ADMIN not in message

    with serving(tmp_path / "data", admin_token=digest(ADMIN)) as client:
        url = str(client.http.base_url)
        with_client(program("--server", url, "--token-file", str(token)), use)
        with_client(program("--server", url), without)


def test_it_ends_with_stdin_and_refuses_an_address_that_is_none() -> None:
    argv = [SPECTAP, "mcp", "--server", "http://127.0.0.1:1"]
    done = subprocess.run(argv, input=b"", capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert cli.main(["mcp", "--server", "nowhere"]) == 64


def test_without_the_sdk_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("server.offline.mcp.find_spec", lambda _: None)
    assert cli.main(["mcp", "--server", "http://127.0.0.1:1"]) == 1
    assert "install spectap with the extras server,mcp" in capsys.readouterr().err
