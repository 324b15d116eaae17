"""`spectap specs` with a real server: its output, and its changes there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server import cli
from server.analysis.specs.load import load
from server.config import digest
from tests.server.records import both
from tests.server.running import Client, serving, wait_for
from tests.server.ui.shop import SPEC

ADMIN = "a" * 32


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path / "data", load) as client:
        yield client


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "shop.json"
    path.write_text(json.dumps(SPEC))
    return path


def specs(client: Client, *arguments: object) -> int:
    return cli.main(["specs", *map(str, arguments), "--server", str(client.http.base_url)])


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def added(client: Client, capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    assert specs(client, "add", *arguments, "--json") == 0
    found: dict[str, Any] = said(capsys)
    return found


def test_a_specification_is_added_listed_shown_and_removed(
    client: Client, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client.send(*both(0, "/users/1?colour=red"))
    one = added(client, capsys, document, "--host", "shop.local:8080")
    assert (one["title"], one["operations"]) == ("Shop", 2)
    wait_for(lambda: client.items("/deviations"), "deviation")
    assert specs(client, "list") == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["ID", "TITLE", "VERSION", "API", "HOST", "UPLOADED"]
    assert row.split()[:5] == [one["id"], "Shop", "1.2", one["api"], "shop.local:8080"]
    assert specs(client, "show", one["id"]) == 0
    assert capsys.readouterr().out == document.read_text() + "\n"
    assert specs(client, "remove", one["id"]) == 0
    assert capsys.readouterr().out == f"{one['id']}: Shop 1.2 is removed\n"
    wait_for(lambda: client.items("/exchanges")[0]["verdict"] is None, "judgement")
    assert client.items("/specs") == client.items("/deviations") == []
    assert [api["exchanges"] for api in client.items("/apis")] == [1]
    assert list(client.operations()) == ["GET /users/{id}"]
    assert specs(client, "list") == 0
    assert "no specifications; add one" in capsys.readouterr().out


def test_files_that_it_refers_to_are_sent_with_it(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "api"
    (folder / "v1").mkdir(parents=True)
    (folder / "common").mkdir()
    item = "get: {responses: {'200': {$ref: '../common/answers.yaml#/Ok'}}}"
    (folder / "v1/openapi.yaml").write_text(
        "openapi: 3.1.0\ninfo: {title: Split, version: '1'}\npaths: {/a: {$ref: item.yaml}}\n"
    )
    (folder / "v1/item.yaml").write_text(item)
    (folder / "common/answers.yaml").write_text("Ok: {description: fine}")
    (folder / "unrelated.txt").write_text("not sent")
    assert specs(client, "add", folder / "v1", "--host", "a") == 1
    assert "outside the folder that was given" in capsys.readouterr().err
    one = added(client, capsys, folder / "v1", "--host", "a", "--spec-root", folder)
    assert one["operations"] == 1
    capsys.readouterr()
    assert specs(client, "show", one["id"], "--json") == 0
    shown = capsys.readouterr().out
    assert "fine" in shown
    assert "not sent" not in shown


def test_one_takes_the_place_of_all_others_if_asked_to(
    client: Client, document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = added(client, capsys, document, "--host", "a")
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**SPEC, "info": {"title": "Other", "version": "2"}}))
    added(client, capsys, other, "--api", first["api"], "--base-path", "/v2")
    assert [one["title"] for one in client.items("/specs")] == ["Other", "Shop"]
    added(client, capsys, other, "--api", first["api"], "--replace")
    assert [one["title"] for one in client.items("/specs")] == ["Other"]


def test_the_server_fetches_one_from_a_running_service(
    client: Client, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert specs(client, "fetch", client.http.base_url, "--host", "own", "--json") == 0
    assert said(capsys)["title"].startswith("spectap")
    address = f"{client.http.base_url}/nothing-here"
    assert specs(client, "fetch", address) == 1
    assert "the service answers HTTP 404" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "line 1"),
        ("[]", "not a JSON object"),
        ('{"openapi": "3.1.0"}', "/info: missing"),
        (json.dumps(SPEC), "give host, workload or api"),
        (json.dumps({**SPEC, "paths": {"/a": {"$ref": "b.yaml"}}}), "b.yaml"),
    ],
)
def test_what_cannot_be_added_is_refused_with_the_reason(
    client: Client, tmp_path: Path, content: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    assert specs(client, "add", path) == 1
    assert reason in capsys.readouterr().err
    assert client.items("/specs") == []


def test_an_id_that_is_not_there_says_where_to_look(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    for action in ("show", "remove"):
        assert specs(client, action, "nope") == 1
        assert "no specification nope: see `spectap specs list`" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["list", "extra"], ["add", "x", "--nope"], ["drop", "x"]])
def test_wrong_usage_exits_64(client: Client, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        specs(client, *arguments)
    assert end.value.code == 64


def test_to_replace_needs_an_api(client: Client, document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert specs(client, "add", document, "--replace") == 64
    assert specs(client, "add", document, "--replace", "--api", "x", "--host", "y") == 64
    assert "--replace needs --api" in capsys.readouterr().err


def test_a_title_does_not_steer_the_terminal(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil.json"
    path.write_text(json.dumps({**SPEC, "info": {"title": "\x1b[2J\u202eevil", "version": "1"}}))
    assert specs(client, "add", path, "--host", "a") == 0
    assert specs(client, "list") == 0
    assert not {"\x1b", "\u202e"} & set(capsys.readouterr().out)


def test_the_admin_token_is_needed_where_the_server_has_one(
    tmp_path: Path, document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = {"ingest_token": digest("t" * 32), "admin_token": digest(ADMIN)}
    (tmp_path / "token").write_text(ADMIN)
    with serving(tmp_path / "data", load, **tokens) as client:
        assert specs(client, "add", document, "--host", "a") == 1
        assert "give --token-file" in capsys.readouterr().err
        assert specs(client, "add", document, "--host", "a", "--token-file", tmp_path / "token") == 0
        assert specs(client, "list", "--token-file", tmp_path / "none") == 64
