"""Lists on the command line, from a real server."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from agent.wire import Endpoint
from server import cli
from server.config import digest
from server.offline import remote
from tests.server.offline.test_remote import answering, serving_tls
from tests.server.records import both, record
from tests.server.running import Client, serving

SPECTAP = Path(sys.executable).with_name("spectap")


def spectap(client: Client, *words: str) -> int:
    return cli.main([*words, "--server", str(client.http.base_url)])


@pytest.fixture
def called(client: Client) -> Client:
    """A server with calls of one API."""
    client.send(*both(0), *both(1, "/users/2", status=500))
    return client


def test_a_table_has_a_row_for_each_api(called: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert spectap(called, "apis", "-o", "table") == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split()[:3] == ["NAME", "EXCHANGES", "OPERATIONS"]
    (api,) = called.items("/apis")
    assert row.split()[:3] == [api["name"], "2", str(api["operations"])]


def test_json_and_yaml_are_the_items_of_the_api(called: Client, capsys: pytest.CaptureFixture[str]) -> None:
    for format, parse in (("json", json.loads), ("yaml", yaml.safe_load)):
        assert spectap(called, "apis", "-o", format) == 0
        assert parse(capsys.readouterr().out) == called.items("/apis")
        assert spectap(called, "apis", "-o", format, "--host", "nowhere") == 0
        assert parse(capsys.readouterr().out) == []


def test_csv_has_the_columns_of_wide(called: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert spectap(called, "apis", "-o", "csv") == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    (api,) = called.items("/apis")
    assert (row["id"], row["exchanges"], row["first_seen"]) == (api["id"], "2", api["first_seen"])
    assert spectap(called, "apis", "-o", "wide") == 0
    heading = capsys.readouterr().out.splitlines()[0]
    assert heading.split() == [name.upper() for name in row]


def test_a_process_prints_into_a_pipe_without_colours_and_uncut(called: Client) -> None:
    environment = {
        **os.environ,
        "COLUMNS": "20",
        "SPECTAP_SERVER": str(called.http.base_url),
        "FORCE_COLOR": "1",
    }
    done = subprocess.run([SPECTAP, "apis"], env=environment, capture_output=True, text=True, check=True)
    heading, row = done.stdout.splitlines()
    assert heading.split()[-1] == "LAST_SEEN"
    assert row.split()[-1].endswith("Z")
    assert "\x1b" not in done.stdout


def test_filters_queries_order_and_limit_are_the_servers(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    there = Endpoint("10.0.0.9", 443, None)
    client.send(*both(0), *[record(n, "client", port=41_000, server=there) for n in range(2)])
    names = [one["name"] for one in client.items("/apis", sort="exchanges")]

    def listed(*options: str) -> list[str]:
        assert spectap(client, "apis", "-o", "json", *options) == 0
        return [one["name"] for one in json.loads(capsys.readouterr().out)]

    assert len(names) == 2
    assert listed("--sort", "exchanges") == names
    assert listed("--sort=-exchanges", "--limit", "1") == names[-1:]
    assert listed("-q", f"api:{names[0]}") == names[:1]
    assert listed("--api", names[0], "--api", names[1], "--sort", "exchanges") == names


def test_nothing_found_is_said_beside_the_output(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert spectap(client, "apis") == 0
    assert capsys.readouterr() == ("", "spectap apis: nothing found\n")


@pytest.mark.parametrize("wrong", [["-q", "hosst:a"], ["--status", "nonsense"], ["--sort", "cuont"]])
def test_what_means_nothing_to_the_server_is_a_usage_error(
    wrong: list[str], client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spectap(client, "apis", *wrong) == 64
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "refused (HTTP 422): " in err


def test_a_server_that_is_away_is_two_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE_S", 0.6)
    assert cli.main(["apis", "--server", "http://127.0.0.1:9"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 2)
    assert "waiting for the server" in err
    assert err.endswith("(connection refused): check --server and whether the server is running\n")


def test_a_wrong_token_and_none_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wrong").write_text("w" * 32)
    (tmp_path / "right").write_text("a" * 32)
    with serving(tmp_path / "data", ingest_token=digest("i" * 32), admin_token=digest("a" * 32)) as client:
        for options in ((), ("--token-file", str(tmp_path / "wrong"))):
            assert spectap(client, "apis", *options) == 1
            out, err = capsys.readouterr()
            assert (out, err.count("\n")) == ("", 1)
            assert "give --token-file with a valid token" in err
            assert "w" * 32 not in err
        assert spectap(client, "apis", "--token-file", str(tmp_path / "right")) == 0


def test_a_certificate_that_nobody_trusts_is_one_line_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving_tls(tmp_path) as url:
        assert cli.main(["apis", "--server", url]) == 1
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.endswith("): give --ca-file with its authority\n")
        monkeypatch.setenv("SPECTAP_CA_FILE", str(tmp_path / "ca.crt"))
        assert cli.main(["apis", "--server", url]) == 0


PROBLEM = {"content-type": "application/problem+json"}


def test_a_server_without_the_list_is_of_another_version(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(404, b'{"detail": "Not Found"}', PROBLEM) as url:
        assert cli.main(["apis", "--server", url]) == 1
    assert capsys.readouterr().err.endswith(
        "has no /api/v1/apis: it is of another version than this client\n"
    )


@pytest.mark.parametrize(
    "body", [b'{"items": [{"id": "a"}], "next": null}', b'{"items": [', b"[]", b'{"a": 1}', b""]
)
def test_an_answer_that_is_no_list_is_one_line(body: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(200, body, {}) as url:
        assert cli.main(["apis", "--server", url]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), "cannot be read" in err) == ("", 1, True)


def test_an_answer_that_is_cut_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PATIENCE_S", 0)
    with answering(200, b'{"items": []', {"content-length": "999"}) as url:
        assert cli.main(["apis", "--server", url]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "it ended its answer early" in err
