"""HAR exported from a server and imported again gives the same exchanges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server import cli
from server.offline import exporting, remote
from tests.har import document, entry
from tests.server.running import Client, serving

CALLS = [
    entry("POST", "https://shop.example/pets?q=a%20b&q=", 201, body={"name": "n"}, answer={"id": 7}),
    entry("GET", "https://shop.example/p%C3%A4ts/8", 404, answer={"error": "no"}, headers={"Accept": "*/*"}),
    entry("GET", "https://shop.example/gone", 0),
    entry("GET", "https://shop.example/empty", 204, started="2026-03-01T12:00:01Z"),
]


def spectap(client: Client, tmp_path: Path, *arguments: str) -> int:
    command, *rest = arguments
    key = ["--key-file", str(tmp_path / "key")] if command == "import" else []
    return cli.main([command, *rest, "--server", str(client.http.base_url), *key])


@pytest.fixture
def held(client: Client, tmp_path: Path) -> Client:
    """A server with these calls."""
    path = tmp_path / "in.har"
    path.write_bytes(document(*CALLS))
    assert spectap(client, tmp_path, "import", str(path)) == 0
    return client


def exported(client: Client, tmp_path: Path, *filters: str) -> list[dict[str, Any]]:
    path = tmp_path / "out.har"
    assert spectap(client, tmp_path, "export", "-o", str(path), *filters) == 0
    assert not path.with_name("out.har.part").exists()
    found: list[dict[str, Any]] = json.loads(path.read_bytes())["log"]["entries"]
    return found


VARIABLE = ("id", "witnesses", "api", "verdict", "why")


def told(client: Client) -> list[str]:
    """The exchanges in the API's form, without fields that belong to the server."""
    found = [
        {name: value for name, value in one.items() if name not in VARIABLE}
        for one in client.items("/exchanges")
    ]
    return sorted(json.dumps(one, sort_keys=True) for one in found)


def test_what_is_exported_is_har_with_what_was_sent(held: Client, tmp_path: Path) -> None:
    found = {one["request"]["url"]: one for one in exported(held, tmp_path)}
    assert set(found) == {one["request"]["url"] for one in CALLS}
    post = found["https://shop.example/pets?q=a%20b&q="]
    assert post["request"]["postData"] == {"mimeType": "application/json", "text": '{"name": "n"}'}
    assert post["request"]["queryString"] == [{"name": "q", "value": "a b"}, {"name": "q", "value": ""}]
    assert (post["response"]["status"], post["response"]["statusText"]) == (201, "Created")
    assert post["response"]["content"] == {"size": 9, "mimeType": "application/json", "text": '{"id": 7}'}
    assert (post["time"], post["timings"]) == (12.5, {"send": 1.5, "wait": 10.0, "receive": 1.0})
    assert found["https://shop.example/gone"]["response"]["status"] == 0


def test_a_round_trip_gives_the_same_exchanges(held: Client, tmp_path: Path) -> None:
    exported(held, tmp_path)
    with serving(tmp_path / "other") as other:
        assert spectap(other, tmp_path, "import", str(tmp_path / "out.har")) == 0
        assert told(other) == told(held)


def test_filters_are_the_apis(held: Client, tmp_path: Path) -> None:
    (one,) = exported(held, tmp_path, "--method", "GET", "--status", "4xx")
    assert one["response"]["status"] == 404
    assert not exported(held, tmp_path, "--until", "2020-01-01T00:00:00Z")
    assert (
        len(exported(held, tmp_path, "-q", "status:4xx method:get", "--status", "404", "--status", "500"))
        == 1
    )


def test_more_than_a_page_is_exported(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in.har"
    path.write_bytes(document(*[entry(url=f"http://shop.example/{i}") for i in range(230)]))
    spectap(client, tmp_path, "import", str(path))
    capsys.readouterr()
    assert spectap(client, tmp_path, "export") == 0
    assert len(json.loads(capsys.readouterr().out)["log"]["entries"]) == 230


def test_a_filter_that_the_server_refuses_leaves_no_file(
    held: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.har"
    monkeypatch.setattr(exporting, "_checked", lambda name, text: text)  # a server of another version
    assert spectap(held, tmp_path, "export", "-o", str(path), "--verdict", "v" * 33) == 1
    assert "refused (HTTP 422)" in capsys.readouterr().err
    assert list(tmp_path.glob("out.har*")) == []


@pytest.mark.parametrize(
    "wrong",
    [("--since", "yesterday"), ("--until", "2026-02-30"), ("--status", "nonsense"), ("--verdict", "deviate")],
)
def test_a_filter_that_is_none_is_a_usage_error_without_a_server(
    wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", "--server", "http://127.0.0.1:9", *wrong])
    assert ended.value.code == 64
    assert f"argument {wrong[0]}: {wrong[1]!r} is " in capsys.readouterr().err


@pytest.mark.parametrize("to_file", [False, True])
def test_of_a_server_that_is_not_there_nothing_is_written(
    to_file: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE_S", 0.6)
    output = ["-o", str(tmp_path / "out.har")] if to_file else []
    assert cli.main(["export", "--server", "http://127.0.0.1:9", *output]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "waiting for the server at http://127.0.0.1:9: connection refused; giving up in 1 s",
        "spectap export: the server at http://127.0.0.1:9 cannot be reached (connection refused): "
        "check --server and whether the server is running",
    ]
    assert list(tmp_path.iterdir()) == []
