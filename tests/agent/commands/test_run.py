"""What `spectap-agent run` logs, without a kernel to capture from."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent import config
from agent.commands import run
from agent.commands.run import Run, notes, older
from agent.deadline import Deadline
from agent.events import Chunk, ConnectionKey, Direction, Event, Tick
from agent.ledger import Bytes
from agent.probes.source import Watching
from agent.redact.policy import Policy
from agent.streams.conversation import Dismissed
from agent.wire import Capture


def test_all_that_is_not_watched_is_said_with_its_reason() -> None:
    assert list(notes(Watching("x"))) == []
    said = list(notes(Watching("x", failures={"/usr/lib/libssl.so.3": "no symbols"}, put_off=7)))
    assert said[0] == "/usr/lib/libssl.so.3: no symbols"
    assert "7 processes" in said[1]


def test_why_tls_is_not_captured_is_said_once_however_many_libraries_there_are() -> None:
    why = "TLS capture disabled: this kernel is odd"
    assert list(notes(Watching("x", tls_refusal=why, failures={"/a": why, "/b": why}))) == [why]


def test_connections_from_before_capture_are_said_with_their_programs() -> None:
    assert list(older({})) == []
    (said,) = older({"etcd": 2, "kubelet": 3})
    assert said.startswith("5 connections had begun before capture (kubelet: 3, etcd: 2)")
    assert "restarted" in said


@pytest.mark.parametrize(
    ("server", "port", "tls"),
    [
        ("http://127.0.0.1:9", 9, False),
        ("https://127.0.0.1:9", 9, True),
        ("https://192.0.2.1:9", None, False),  # on another machine
    ],
)
def test_calls_to_a_server_on_this_machine_are_not_captured(server: str, port: int | None, tls: bool) -> None:
    found = run.capture_filters(config.settings(argparse.Namespace(server=server)))
    assert (found.own_port, found.own_tls) == (port, tls)


class Greeting:
    """A source that sends one mail server's greeting."""

    def __init__(self) -> None:
        self.ignored: list[Dismissed] = []

    def events(self) -> Iterator[Event]:
        key, data = ConnectionKey("socket", 1, 1), b"220 mail.test ESMTP\r\n"
        yield Chunk(1, key, Direction.SENT, 0, len(data), data, 7, None, None, None, True)

    def ignore(self, connection: ConnectionKey, bucket: Bytes) -> None:
        self.ignored.append(Dismissed(connection, bucket))


def running(source: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """A run of this source, without a spool."""
    monkeypatch.setattr(run, "source", lambda settings: source)
    settings = config.settings(argparse.Namespace(server="http://127.0.0.1:9"))
    quiet = replace(settings, status_listen=("127.0.0.1", 0), spool_bytes=0, key_file=tmp_path / "key")
    return Run(quiet, Policy(), Deadline())


class Ticking:
    """A source whose events up to a time have been read."""

    def __init__(self, reached_ns: int) -> None:
        self._reached_ns = reached_ns

    def events(self) -> Iterator[Event]:
        yield Tick(self._reached_ns)


def test_the_lag_counts_from_the_last_event_that_was_read_but_not_from_before_capture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = time.monotonic_ns()
    agent = running(Ticking(now - 8_000_000_000), monkeypatch, tmp_path)
    try:
        assert agent._lag() is None
        assert agent._capture() == Capture("nothing", None)
        agent._attached_ns = now - 20_000_000_000
        assert (agent._capture().lag_ms or 0) >= 20_000
        agent._watch()
        assert 8_000 <= (agent._capture().lag_ms or 0) < 20_000
        agent._attached_ns = now
        assert (agent._capture().lag_ms or 0) < 8_000
    finally:
        agent._status.close()


def test_the_source_is_asked_to_stop_sending_what_is_not_http(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = Greeting()
    agent = running(source, monkeypatch, tmp_path)
    try:
        agent._watch()
    finally:
        agent._status.close()
    assert source.ignored == [Dismissed(ConnectionKey("socket", 1, 1), Bytes.NOT_HTTP)]
