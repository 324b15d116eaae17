"""`spectap coverage --api`: what a server counted."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml

from server import cli
from tests.server.engine import spec
from tests.server.records import both
from tests.server.running import Client


@pytest.fixture
def called(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A server with a call of one of two operations."""
    monkeypatch.setenv("SPECTAP_SERVER", str(client.http.base_url))
    raw = spec("GET /users/{id}", "GET /orders")
    client.http.post("/api/v1/specs", params={"host": "shop.local:8080"}, content=raw).raise_for_status()
    client.send(*both())
    return client


def test_every_output_is_of_what_the_server_has(called: Client, capsys: pytest.CaptureFixture[str]) -> None:
    (api,) = called.items("/apis")
    words = ["coverage", "--api", api["name"], "--by", "process"]

    def printed(*options: str) -> str:
        assert cli.main([*words, *options]) == 0
        return capsys.readouterr().out

    expected = called.get(f"/apis/{api['id']}/coverage", by="process")
    assert json.loads(printed("-o", "json")) == json.loads(printed("--json")) == expected
    assert yaml.safe_load(printed("-o", "yaml")) == expected
    rows = [*csv.DictReader(io.StringIO(printed("-o", "csv")))]
    assert {row["operation"] for row in rows} == {"GET /users/{id}", "GET /orders"}
    assert "GET /users/{id}" in printed("-o", "table")
    gaps = json.loads(printed("--used-by", "curl", "--not-by", "tests", "-o", "json"))
    assert [one["operation"] for one in gaps["operations"]] == ["GET /users/{id}"]


@pytest.mark.parametrize(
    "options", [["--spec", "openapi.yaml"], ["traffic.har"], ["--keywords"], ["--used-by", "curl"]]
)
def test_what_is_about_files_is_a_usage_error(
    options: list[str], called: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["coverage", "--api", "nginx:8080", *options]) == 64
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


def test_without_an_address_it_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPECTAP_SERVER", raising=False)
    assert cli.main(["coverage", "--api", "orders"]) == 64
    assert capsys.readouterr().err == "spectap coverage: give --server, or set SPECTAP_SERVER\n"
