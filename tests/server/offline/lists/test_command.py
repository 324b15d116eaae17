"""Lists on the command line, from a real server."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from agent.wire import Endpoint
from server import cli
from server.config import digest
from server.offline import remote
from server.offline.lists import command, output
from tests.server.engine import spec
from tests.server.offline.test_remote import answering, serving_tls
from tests.server.records import both, record
from tests.server.running import Client, serving

SPECTAP = Path(sys.executable).with_name("spectap")


class Enough(Exception):
    """Ends a watched list."""


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


@pytest.mark.parametrize("name", ["apis", "operations", "deviations", "consumers", "exchanges"])
def test_each_list_has_a_row_for_each_item_by_namespace_workload_and_cluster(
    name: str, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    till = Endpoint("10.0.0.7", 8080, None, pod="till-1", namespace="shop", workload="till")
    client.http.post(
        "/api/v1/specs", params={"workload": "shop/till", "cluster": "east"}, content=spec("GET /users/{id}")
    ).raise_for_status()
    client.send(*both(0), record(1, path="/other", server=till, cluster="east", port=42_000))

    def ids(*options: str) -> list[str]:
        assert spectap(client, name, "-o", "csv", *options) == 0
        return [row["id"] for row in csv.DictReader(io.StringIO(capsys.readouterr().out))]

    def items(**asked: str) -> list[str]:
        return [one["id"] for one in client.items(f"/{name}", **asked)]

    assert ids() == items()
    for field, value in (("namespace", "shop"), ("workload", "till"), ("cluster", "east")):
        assert ids(f"--{field}", value) == items(**{field: value}) == ids("-q", f"{field}:{value}")
        assert len(items(**{field: value})) == 1
        assert ids(f"--{field}", "nowhere") == []


def test_a_watched_list_is_shown_again_and_again(
    called: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        called.send(*both(20 + len(pauses), "/users/3"))
        if len(pauses) == 3:
            raise Enough

    monkeypatch.setattr(command, "sleep", pause)
    with pytest.raises(Enough):
        spectap(called, "apis", "--watch", "7")
    out, err = capsys.readouterr()
    shown = [line.split()[1] for line in out.splitlines()]
    assert shown == ["EXCHANGES", "2", "EXCHANGES", "3", "EXCHANGES", "4"]
    assert (pauses, err) == ([7, 7, 7], "")


def test_ctrl_c_ends_a_watched_list_with_one_line(called: Client) -> None:
    words = [str(SPECTAP), "apis", "--watch", "--server", str(called.http.base_url)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline().startswith("NAME")
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert (child.returncode, err) == (130, "spectap apis: interrupted\n")


def test_a_reader_that_has_enough_ends_a_list_quietly(called: Client) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    words = [str(SPECTAP), "exchanges", "-o", "json", "--server", str(called.http.base_url)]
    ended = subprocess.run(words, stdout=theirs, stderr=subprocess.PIPE, check=False)
    os.close(theirs)
    assert (ended.stderr, ended.returncode) == (b"", 141)


def test_on_a_terminal_a_watched_list_is_no_longer_than_the_screen(
    called: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pause(_: float) -> None:
        raise Enough

    monkeypatch.setattr(command, "sleep", pause)
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "3")
    with pytest.raises(Enough):
        spectap(called, "exchanges", "--watch")
    out = capsys.readouterr().out
    assert out.startswith("\x1b[H\x1b[2J")
    assert out.count("\n") == 2
    assert max(len(line) for line in re.sub("\x1b\\[[0-9;]*[HJm]", "", out).splitlines()) <= 40


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
