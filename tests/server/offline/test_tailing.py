"""`spectap tail` with a real server."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import convert

from agent.wire import Process, Record
from server import cli
from server.client.connection import Remote
from server.client.exchange_models import Exchange
from server.offline import tailing
from server.offline.lists import output
from server.offline.tailing import Tail
from tests.e2e.needles import found_in
from tests.server.offline.test_matching_canary import NEEDLES, traffic
from tests.server.records import record
from tests.server.running import Client

SPECTAP = Path(sys.executable).with_name("spectap")


def call(number: int, path: str | bytes, ago_s: float = 0, **options: object) -> Record:
    """A call that began so long ago."""
    start = time.time_ns() - round(ago_s * 1e9)
    return record(number, path=path, start=start, port=40_000 + number, **options)  # type: ignore[arg-type]


class Enough(Exception):
    """Ends a tail."""


def tailed(
    client: Client, monkeypatch: pytest.MonkeyPatch, *rounds: Callable[[], None], options: str = ""
) -> None:
    """Runs `spectap tail`; after each of its rounds one of these happens."""
    left = iter(rounds)

    def pause(_: float) -> None:
        happens = next(left, None)
        if happens is None:
            raise Enough
        happens()

    monkeypatch.setattr(tailing, "sleep", pause)
    with pytest.raises(Enough):
        cli.main(["tail", "--server", str(client.http.base_url), *options.split()])


def paths(lines: str) -> list[str]:
    return re.findall(r" shop\.local:8080(\S+)", lines)


def test_the_newest_are_shown_and_then_each_new_one_once_also_if_it_comes_late(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client.send(*[call(n, f"/{n}", 9 - n) for n in range(4)])
    tailed(
        client,
        monkeypatch,
        lambda: client.send(call(4, "/4")),
        lambda: None,
        lambda: client.send(call(5, "/late", 5), call(6, "/6")),
        options="--lines 2",
    )
    assert paths(capsys.readouterr().out) == ["/2", "/3", "/4", "/late", "/6"]


def test_filters_are_the_servers(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [call(1, "/ok"), call(2, "/bad", status=500), call(3, "/worse", status=503)]
    tailed(client, monkeypatch, lambda: client.send(*calls), options="--status 5xx -q -path:/worse")
    assert paths(capsys.readouterr().out) == ["/bad"]


def test_json_is_one_object_a_line(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    client.send(call(1, "/a"), call(2, "/b"))
    tailed(client, monkeypatch, options="-o json")
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert shown == client.items("/exchanges", sort="time")


def test_late_ones_below_many_that_were_shown_come_in_a_thorough_round(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailing, "KNOWN_ENOUGH", 2)
    client.send(*[call(n, f"/{n}") for n in range(5)])
    with Remote(str(client.http.base_url)) as server:
        tail = Tail(server, {})
        tail.first(0)
        client.send(call(9, "/late", 30))
        found = [[one["path"]["text"] for one in tail.new()] for _ in range(tailing.THOROUGH)]
    assert found == [[]] * (tailing.THOROUGH - 1) + [["/late"]]


def test_more_than_a_round_holds_is_said(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailing, "MOST", 3)
    tailed(client, monkeypatch, lambda: client.send(*[call(n, f"/{n}") for n in range(4)]))
    out, err = capsys.readouterr()
    assert paths(out) == ["/1", "/2", "/3"]
    assert err == "spectap tail: more than 3 at once: older ones are left out\n"


def test_lines_are_coloured_and_cut_on_a_terminal_and_hold_no_command_of_the_traffic(
    client: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = Process(100, "a\x1b[2J\x9b", "boot-1", 5, "/usr/bin/a")
    client.send(call(1, "/\x1b[2J\x9b31m\u202e" + "x" * 99, process=hostile))
    tailed(client, monkeypatch)
    (plain,) = capsys.readouterr().out.splitlines()
    assert plain.isprintable()
    assert "x" * 99 in plain
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    tailed(client, monkeypatch)
    (coloured,) = capsys.readouterr().out.splitlines()
    assert "\x1b[32m200\x1b[0m" in coloured
    bare = re.sub("\x1b\\[[0-9]+m", "", coloured)
    assert bare.isprintable()
    assert len(bare) <= 40
    assert " 200 GET shop.local:8080" in bare


def test_a_line_has_its_date_unless_that_is_today(client: Client) -> None:
    client.send(record(0))
    (one,) = (convert(each, Exchange) for each in client.items("/exchanges"))
    assert tailing.line(one, "2026-11-23", None, False).startswith("12:00:00.000Z 200 ")
    assert tailing.line(one, "2026-11-24", None, False).startswith("2026-11-23T12:00:00.000Z 200 ")


def test_no_secret_is_in_what_it_shows(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "traffic.har").write_bytes(traffic())
    assert cli.main(["import", str(tmp_path / "traffic.har"), "--server", str(client.http.base_url)]) == 0
    client.settle()
    for format in ("lines", "json"):
        capsys.readouterr()
        tailed(client, monkeypatch, options=f"-o {format}")
        out, err = capsys.readouterr()
        assert "shop.example" in out
        assert found_in(NEEDLES, {"output": out.encode(), "messages": err.encode()}) == []


def test_ctrl_c_ends_it_with_one_line(client: Client) -> None:
    client.send(call(1, "/a"))
    words = [str(SPECTAP), "tail", "--server", str(client.http.base_url)]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert "/a" in child.stdout.readline()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert (child.returncode, err) == (130, "spectap tail: interrupted\n")
