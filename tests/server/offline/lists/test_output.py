"""What lists print: first of all no secret, and nothing that commands a terminal."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from agent.wire import Process
from server import cli
from server.offline.lists import output
from tests.e2e.needles import found_in
from tests.server.engine import spec
from tests.server.offline.test_matching_canary import NEEDLES, traffic
from tests.server.records import both
from tests.server.running import Client, wait_for

COVERAGE = ("table", "json", "yaml", "csv")
LISTS = ("apis", "operations", "deviations", "consumers", "exchanges")


@pytest.fixture
def imported(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A server with traffic that has secrets in every part."""
    (tmp_path / "traffic.har").write_bytes(traffic())
    raw = spec("GET /v1/pets/{id}", "POST /v1/pets/{id}")
    client.http.post("/api/v1/specs", params={"host": "shop.example"}, content=raw).raise_for_status()
    monkeypatch.setenv("SPECTAP_SERVER", str(client.http.base_url))
    assert cli.main(["import", str(tmp_path / "traffic.har")]) == 0
    client.settle()
    return client


def test_no_secret_is_in_any_output_of_any_list(imported: Client, capsys: pytest.CaptureFixture[str]) -> None:
    printed = {}
    capsys.readouterr()
    for name, format in product(LISTS, output.FORMATS):
        assert cli.main([name, "-o", format]) == 0
        out, err = capsys.readouterr()
        assert len(out) > 100
        printed[f"{name} {format}"] = (out + err).encode()
    (api,) = {one["id"] for one in imported.items("/apis", specified="yes")}
    wait_for(lambda: imported.items(f"/apis/{api}/reconstructed/versions"), "learned document")
    others = [("spec", "get", api, "--learned"), *(("coverage", "--api", api, "-o", one) for one in COVERAGE)]
    for words in others:
        assert cli.main([*words]) == 0
        out, err = capsys.readouterr()
        assert "pets" in out
        printed[" ".join(words)] = (out + err).encode()
    assert found_in(NEEDLES, printed) == []


HOSTILE = "\x1b[2J\x9b31m\x07\u202e\x7f\u2028=1+1"
COMMANDS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]")


def test_no_control_character_of_the_traffic_reaches_the_output(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    client.http.post(
        "/api/v1/specs", params={"host": "shop.local:8080"}, content=spec("GET /users/{id}")
    ).raise_for_status()
    program = Process(100, HOSTILE, "boot-1", 5, f"/usr/bin/{HOSTILE}")
    client.send(*both(0, f"/{HOSTILE}", process=program), *both(1, f"/{HOSTILE}", host=HOSTILE.encode()))
    for name, format in product(LISTS, output.FORMATS):
        assert cli.main([name, "-o", format, "--server", str(client.http.base_url)]) == 0
        out, err = capsys.readouterr()
        assert "31m" in out  # what is left of it
        assert not COMMANDS.search(out + err)


@pytest.mark.parametrize(
    ("environment", "terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    environment: dict[str, str], terminal: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(output, "is_terminal", lambda: terminal)
    assert output.is_coloured() is coloured
