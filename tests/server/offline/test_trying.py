"""`spectap try` with a real server: what it prints, its exit status, and that nothing is stored."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server import cli
from server.analysis.specs.load import load
from tests.server.records import both
from tests.server.running import Client, serving
from tests.server.ui.shop import SPEC


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path / "data", load) as client:
        client.send(*both(0, "/users/1"), *both(1, "/users/2"), *both(2, "/old"))
        yield client


def proposed(tmp_path: Path, **changed: Any) -> Path:
    file = tmp_path / "new.json"
    file.write_text(json.dumps(copy.deepcopy(SPEC) | changed))
    return file


def upload(client: Client, document: Any) -> None:
    params = {"host": "shop.local:8080"}
    client.http.post("/api/v1/specs", content=json.dumps(document), params=params).raise_for_status()


def tried(client: Client, file: Path, *arguments: str) -> int:
    server = ("--server", str(client.http.base_url))
    return cli.main(["try", str(file), *server, "--host", "shop.local:8080", *arguments])


def test_the_calls_that_break_are_told_by_operation_and_consumer(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = client.items("/specs")
    assert tried(client, proposed(tmp_path, paths={})) == 2
    out = capsys.readouterr().out
    assert out.splitlines()[0].endswith("3 of 3 replayed calls would break")
    assert "GET /users/{id}" in out
    assert "by consumer" in out
    assert client.items("/specs") == before
    assert tried(client, proposed(tmp_path, paths={}), "-o", "json") == 2
    report = json.loads(capsys.readouterr().out)
    assert (report["counted"], report["replayed"], report["broken"], report["share"]) == (3, 3, 3, 1.0)
    (sample, *_) = report["differences"][0]["samples"]
    assert client.get(f"/exchanges/{sample}")["id"]


def test_nothing_breaks_under_the_present_specification(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(client, SPEC)
    client.send(*both(3, "/users/3"))
    assert tried(client, proposed(tmp_path)) == 0
    assert "0 of 4 replayed calls would break" in capsys.readouterr().out


def test_a_breaking_change_that_no_call_uses_is_told_apart(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unused = {"/silent": {"get": {"responses": {"200": {"description": "ok"}}}}}
    present = copy.deepcopy(SPEC)
    present["paths"] |= unused
    upload(client, present)
    assert tried(client, proposed(tmp_path), "-o", "json") == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert changes == [{"operation": "GET /silent", "part": "", "what": "removed", "used": False}]


def test_another_base_path_takes_away_uncalled_operations_too(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(client, SPEC)
    assert tried(client, proposed(tmp_path), "--base-path", "/v2", "-o", "json") == 2
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert {(one["operation"], one["what"], one["used"]) for one in changes} == {
        ("GET /users/{}", "removed", True),
        ("GET /carts", "removed", False),
    }


def test_a_changed_parameter_of_a_path_is_named_as_one(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upload(client, SPEC)
    changed = copy.deepcopy(SPEC)
    changed["paths"]["/users/{id}"]["parameters"][0]["schema"]["maxLength"] = 20
    assert tried(client, proposed(tmp_path, paths=changed["paths"])) == 0
    assert "path parameter 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("--host", "nowhere.local"), "no API is known at nowhere.local"), (("--api", "none"), "no such API")],
)
def test_an_api_that_is_not_there_is_an_error_that_says_so(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    assert tried(client, proposed(tmp_path), *arguments) == 1
    assert told in capsys.readouterr().err


def test_a_document_that_cannot_be_read_is_an_error_that_says_where(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new.yaml"
    file.write_text("openapi: 3.1.0\ninfo: [\n")
    assert tried(client, file) == 1
    assert "line" in capsys.readouterr().err


def test_only_so_many_of_the_newest_exchanges_are_replayed(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tried(client, proposed(tmp_path, paths={}), "--exchanges", "1") == 2
    out = capsys.readouterr().out
    assert "1 of 1 replayed calls" in out
    assert "only the newest stored calls were replayed: --exchanges sets how many" in out
    assert "not replayed: 2 calls of 1 operation of which no exchange is among those" in out
    assert "extrapolated" in out
    assert tried(client, proposed(tmp_path, paths={}), "--exchanges", "3") == 2
    assert "only the newest" not in capsys.readouterr().out


def test_a_tryout_that_ran_out_of_time_says_so(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.api.specs.TRYOUT_S", 0.0)
    assert tried(client, proposed(tmp_path, paths={})) == 0
    out = capsys.readouterr().out
    assert "only the newest stored calls were replayed, in the time that the server takes" in out
    assert tried(client, proposed(tmp_path, paths={}), "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["cut"] == "time"
