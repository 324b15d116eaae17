"""`spectap spec` with a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server import cli
from server.offline.lists import output
from tests.server.engine import spec
from tests.server.records import both
from tests.server.running import Client, wait_for


@pytest.fixture
def api(client: Client, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an API with a specification and calls."""
    monkeypatch.setenv("SPECTAP_SERVER", str(client.http.base_url))
    raw = spec("GET /users/{id}")
    client.http.post("/api/v1/specs", params={"host": "shop.local:8080"}, content=raw).raise_for_status()
    client.send(*both())
    (found,) = client.items("/apis")
    return str(found["name"])


def version(client: Client, name: str) -> str:
    """Publishes what was learned."""
    (found,) = client.items("/apis", api=name)
    path = f"/apis/{found['id']}/reconstructed/versions"
    count = len(client.items(path))
    client.http.post(f"/api/v1{path}").raise_for_status()
    wait_for(lambda: len(client.items(path)) > count, "another version")
    return str(client.items(path)[0]["version"])


def test_the_specification_is_printed_as_it_was_uploaded(api: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["spec", "get", api]) == 0
    assert capfd.readouterr().out.encode().rstrip() == spec("GET /users/{id}").rstrip()


def test_a_document_replaces_all(
    api: str, client: Client, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.json").write_bytes(spec("GET /other", "GET /more"))
    assert cli.main(["spec", "put", api, str(tmp_path / "new.json")]) == 0
    (kept,) = client.items("/specs")
    assert capfd.readouterr().out.startswith(f"{kept['id']}: ")
    assert cli.main(["spec", "put", api, str(tmp_path / "absent.json")]) == 1
    (tmp_path / "new.json").write_text("{")
    assert cli.main(["spec", "put", api, str(tmp_path / "new.json")]) == 1
    assert capfd.readouterr().err.count("\n") == 2
    assert client.items("/specs") == [kept]


def test_what_changed_between_versions_is_listed(
    api: str, client: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    before = version(client, api)
    client.send(*both(1, "/orders/1"))
    after = version(client, api)
    for options in ([], [before], [before, after]):
        assert cli.main(["spec", "diff", api, *options, "-o", "json"]) in (0, 2)
        shown = json.loads(capfd.readouterr().out)
        assert (shown["from"], shown["to"]) == (before, after)
        assert "GET /orders/{}" in {one["operation"] for one in shown["changes"]}
    status = cli.main(["spec", "diff", api, after, before])
    out, err = capfd.readouterr()
    assert (status, out.splitlines()[1].split()[0]) == (2, "yes")
    assert err.startswith(f"{after} to {before}: 1 change")
    assert cli.main(["spec", "get", api, "--learned", "--version", before]) == 0
    assert "/orders" not in capfd.readouterr().out


def test_on_a_terminal_a_document_holds_no_command(
    api: str, client: Client, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(spec("GET /users/{id}"))
    document["info"] = {"title": "a\x9b31m\x7f\u202eb", "version": "1"}
    (found,) = client.items("/apis")
    raw = json.dumps(document, ensure_ascii=False).encode()
    client.http.put(f"/api/v1/apis/{found['id']}/spec", content=raw).raise_for_status()
    assert cli.main(["spec", "get", api]) == 0
    assert json.loads(capfd.readouterr().out) == document
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    assert cli.main(["spec", "get", api]) == 0
    assert capfd.readouterr().out.rstrip("\n").isprintable()


def test_an_api_that_is_none_is_one_line(api: str, capfd: pytest.CaptureFixture[str]) -> None:
    for words in (["get", "nowhere"], ["diff", "nowhere"]):
        assert cli.main(["spec", *words]) == 1
        out, err = capfd.readouterr()
        assert (out, err.count("\n")) == ("", 1)
