"""Telemetry of gateways over real HTTP: who may send it, how much, and what becomes of it."""

from __future__ import annotations

import json
import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent import config, gateways
from agent.checks import SettingError
from agent.cli import parser
from agent.gateways import (
    BEHIND_S,
    BODY_RATE,
    BODY_S,
    MOST_BODIES,
    MOST_REDACTED,
    SAY_EVERY_S,
    SMALL_BODY,
    GatewayServer,
    Reports,
    Slow,
)
from agent.ledger import Exchanges
from agent.listening import ListenError
from agent.redact.policy import Policy
from agent.timed import TimedReader
from agent.views import Origin
from agent.wire import Record, decode_record, pack_record
from tests.server.running import serving, wait_for
from tests.telemetry import common, telemetry

TOKEN = "t" * 32


class Gateway:
    """A listener and the records it made."""

    def __init__(self, token: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.records: list[Record] = []
        self.reports = Reports(Origin("agent-1", "node-1", None), Policy(), b"k" * 32, self._take)
        self.server = GatewayServer(("127.0.0.1", 0), token, self.reports, clock)
        self.server.start()
        self.http = httpx.Client(base_url=f"http://{self.server.address}", trust_env=False)

    def _take(self, packed: bytes) -> None:
        self.records.append(decode_record(packed))

    def post(self, content: Any, path: str = "/api/telemetry", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(path, content=content, headers={"content-type": "application/json", **named})

    def close(self) -> None:
        self.http.close()
        self.server.close()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.close()


@pytest.fixture
def guarded() -> Iterator[Gateway]:
    made = Gateway(TOKEN)
    yield made
    made.close()


def test_a_report_becomes_a_redacted_record(gateway: Gateway) -> None:
    answer = gateway.post(telemetry(asked=common(Authorization="Bearer s3cretvalue")))
    assert (answer.status_code, answer.json()) == (200, {"message": "Success"})
    (one,) = gateway.records
    assert (one.agent, one.node, one.side) == ("agent-1", "node-1", "server")
    assert b"s3cretvalue" not in pack_record(one)


def test_equal_reports_are_two_and_one_connection_carries_many(gateway: Gateway) -> None:
    for _ in range(3):
        assert gateway.post(telemetry()).status_code == 200
    assert len({one.id for one in gateway.records}) == 3


def test_a_body_in_chunks_is_read_as_go_clients_send_it(gateway: Gateway) -> None:
    raw = telemetry()
    assert gateway.post(iter([raw[:10], raw[10:500], raw[500:]])).status_code == 200
    assert gateway.post(telemetry()).status_code == 200
    assert len(gateway.records) == 2


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"X_Trace_Source_Token": "ü"}],
)
def test_without_the_token_nothing_is_taken(guarded: Gateway, headers: dict[str, str]) -> None:
    encoded = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = guarded.http.post("/api/telemetry", content=telemetry(), headers=encoded)
    assert answer.status_code == 401
    assert not guarded.records


@pytest.mark.parametrize("headers", [{"Authorization": f"bearer {TOKEN}"}, {"X_Trace_Source_Token": TOKEN}])
def test_the_token_comes_as_bearer_or_as_the_plugins_send_it(
    guarded: Gateway, headers: dict[str, str]
) -> None:
    assert guarded.post(telemetry(), **headers).status_code == 200


def test_plugins_that_sample_are_answered_that_all_hosts_are_to_be_reported(guarded: Gateway) -> None:
    answer = guarded.http.get("/api/hostsToTrace", headers={"X-Trace-Source-Token": TOKEN})
    assert (answer.status_code, answer.json()) == (200, {"hosts": ["*"]})
    assert guarded.http.get("/api/hostsToTrace").status_code == 401


def test_a_gateways_list_of_apis_is_taken_and_is_no_report(guarded: Gateway) -> None:
    path, listed = "/api/control/newDiscoveredAPIs", json.dumps({"hosts": ["orders.shop:8080"]})
    assert guarded.post(listed, path, X_Trace_Source_Token=TOKEN).status_code == 200
    assert guarded.post(listed, path).status_code == 401
    assert not guarded.records
    assert not guarded.reports.totals()["exchanges"]


def test_an_open_listener_takes_nothing_from_web_pages(gateway: Gateway) -> None:
    assert gateway.post(telemetry(), Origin="http://evil.example").status_code == 403
    assert not gateway.records


def test_broken_reports_are_refused_and_counted(gateway: Gateway) -> None:
    for raw in (b"nonsense", b"{}", b'{"a":' * 100_000):
        assert gateway.post(raw).status_code == 400
    assert gateway.reports.totals()["exchanges"] == {Exchanges.PARSED: 3, Exchanges.UNREADABLE: 3}
    assert gateway.post(telemetry()).status_code == 200


def test_what_is_too_large_is_refused_before_it_is_read(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "MAX_BODY", 2000)
    assert gateway.post(telemetry(padding="x" * 2000)).status_code == 413
    assert gateway.post(iter([b"x" * 1500, b"x" * 1500])).status_code == 413
    assert gateway.reports.totals()["exchanges"][Exchanges.UNREADABLE] == 2
    assert gateway.post(telemetry()).status_code == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"GET /api/telemetry HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"POST /api/hostsToTrace HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"POST /api/telemetry HTTP/1.1\r\nHost: x\r\n\r\n", 411),
        (b"POST http://[x/api/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", 404),
        (b"POST /api/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 411),
        (b"POST /api/telemetry HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /api/telemetry HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413),
        (b"POST /api/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{", 408),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_what_is_no_report_gets_its_status(gateway: Gateway, request_bytes: bytes, status: int) -> None:
    host, _, port = gateway.server.address.rpartition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(request_bytes)
        client.shutdown(socket.SHUT_WR)
        answer = client.makefile("rb").read()
    assert str(status).encode() in answer[:200]
    assert gateway.post(telemetry()).status_code == 200


def test_a_length_of_thousands_of_digits_is_refused_and_counted(gateway: Gateway) -> None:
    host, _, port = gateway.server.address.rpartition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"POST /api/telemetry HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n")
        assert client.makefile("rb").readline().split()[1] == b"413"
    assert gateway.reports.totals()["exchanges"] == {Exchanges.PARSED: 1, Exchanges.UNREADABLE: 1}


def test_no_more_large_bodies_are_read_at_a_time_than_the_bound(gateway: Gateway) -> None:
    held = [gateway.server.bodies.free.acquire() for _ in range(MOST_BODIES)]
    answers: list[int] = []
    large = telemetry(padding="x" * SMALL_BODY)
    thread = threading.Thread(target=lambda: answers.append(gateway.post(large).status_code))
    thread.start()
    with httpx.Client(base_url=f"http://{gateway.server.address}", trust_env=False) as other:
        assert other.post("/api/telemetry", content=telemetry()).status_code == 200
    assert len(gateway.records) == 1
    for _ in held:
        gateway.server.bodies.free.release()
    thread.join()
    assert answers == [200]


def test_no_more_reports_are_redacted_at_a_time_than_the_bound(gateway: Gateway) -> None:
    held = [gateway.server.turns.acquire() for _ in range(MOST_REDACTED)]
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(gateway.post(telemetry()).status_code))
    thread.start()
    assert not gateway.records
    for _ in held:
        gateway.server.turns.release()
    thread.join()
    assert answers == [200]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


LARGE = telemetry(padding="x" * 2 * SMALL_BODY)
LARGE_HEAD = b"POST /api/telemetry HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(LARGE)


@contextmanager
def slow_clients(number: int, sent: bytes, clock: Clock) -> Iterator[tuple[Gateway, Sequence[socket.socket]]]:
    """A gateway and clients that have sent the beginning of a report; no place for a body is free."""
    gateway = Gateway(clock=clock)
    host, _, port = gateway.server.address.rpartition(":")
    with ExitStack() as stack:
        stack.callback(gateway.close)
        clients = [
            stack.enter_context(socket.create_connection((host, int(port)), 60)) for _ in range(number)
        ]
        for client in clients:
            client.sendall(sent)
        wait_for(lambda: gateway.server.bodies.free._value == 0, "bodies that are being read")
        yield gateway, clients


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (b"Content-Length: 1000000\r\n\r\n", b"x"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"Trailer: x\r\n"),
    ],
)
def test_bodies_that_trickle_are_cut_off_and_others_read(
    head: bytes, more: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()

    def answer(client: socket.socket) -> bytes:
        """The response; until there is one, the client sends a little, and time passes."""
        if select.select([client], [], [], 0)[0]:
            return client.recv(4096)
        client.sendall(more)
        clock.now += 5.0
        return b""

    with slow_clients(MOST_BODIES, b"POST /api/telemetry HTTP/1.1\r\nHost: x\r\n" + head, clock) as (
        gateway,
        clients,
    ):
        clock.now += 1.0
        answers = [wait_for(partial(answer, client), "answer") for client in clients]
        assert [one.split()[1] for one in answers] == [b"408"] * MOST_BODIES
        assert gateway.post(telemetry()).status_code == 200
    assert gateway.reports.totals()["exchanges"][Exchanges.UNREADABLE] == MOST_BODIES
    assert "came too slowly" in caplog.text


def test_a_large_body_that_falls_behind_gives_its_place_to_one_that_waits() -> None:
    clock = Clock()
    with slow_clients(MOST_BODIES, LARGE_HEAD + LARGE[:1], clock) as (gateway, clients):
        clock.now += BEHIND_S + 1.0
        assert gateway.post(LARGE).status_code == 200
        cut = select.select(clients, [], [])[0]  # its place is free before it is answered
        assert [client.recv(4096).split()[1] for client in cut] == [b"408"]
        for client in clients:
            if client not in cut:
                client.sendall(LARGE[1:])
                assert client.recv(4096).split()[1] == b"200"
    assert len(gateway.records) == MOST_BODIES
    assert gateway.reports.totals()["exchanges"][Exchanges.UNREADABLE] == 1


def test_no_body_is_cut_off_while_it_keeps_its_rate() -> None:
    sent = SMALL_BODY + 1
    with slow_clients(MOST_BODIES + 1, LARGE_HEAD + LARGE[:sent], Clock()) as (gateway, clients):
        for _ in range(3):
            gateway.server.bodies._cut_off_slowest()
        for client in clients:
            client.sendall(LARGE[sent:])
        assert [client.recv(4096).split()[1] for client in clients] == [b"200"] * len(clients)


def test_reports_that_were_cut_off_are_said_once_a_minute_with_their_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    slow = Slow(clock)
    for _ in range(3):
        slow.cut_off()
    clock.now += SAY_EVERY_S
    slow.cut_off()
    assert [one.split()[0] for one in caplog.messages] == ["1", "3"]


def test_a_long_body_has_time_by_what_came_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline grows with the bytes received: each piece takes as long as its size allows, all of it
    longer than a short body may.
    """
    clock = Clock()
    take = TimedReader.extend

    def extend(reader: TimedReader, seconds: float) -> None:
        clock.now += seconds
        take(reader, seconds)

    monkeypatch.setattr(TimedReader, "extend", extend)
    gateway = Gateway(clock=clock)
    raw = telemetry(padding="x" * 3_000_000)
    assert len(raw) / BODY_RATE > BODY_S
    assert gateway.post(raw).status_code == 200
    gateway.close()


def test_a_port_in_use_is_one_sentence(gateway: Gateway) -> None:
    host, _, port = gateway.server.address.rpartition(":")
    with pytest.raises(ListenError, match="choose another with --telemetry-listen"):
        GatewayServer((host, int(port)), None, gateway.reports)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--telemetry-listen", "0.0.0.0:9000"],
            "can be reached from other machines: give --telemetry-token-file",
        ),
        (["--telemetry-listen", "gateway.example:9000"], "can be reached from other machines"),
        (["--telemetry-listen", "9000"], "takes HOST:PORT"),
        (["--no-capture"], "leaves nothing to do"),
    ],
)
def test_settings_that_make_no_sense_or_are_not_safe_are_refused(options: list[str], sentence: str) -> None:
    parsed = parser().parse_args(["run", "--server", "http://x", *options])
    with pytest.raises(SettingError, match=sentence):
        config.settings(parsed)


def test_an_agent_without_capture_ships_what_gateways_report(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as server:
        command = [sys.executable, "-m", "agent", "run", "--no-capture", "--telemetry-listen", "127.0.0.1:0"]
        command += [
            "--server",
            str(server.http.base_url),
            "--status-listen",
            "127.0.0.1:0",
            "--spool-mib",
            "0",
        ]
        command += ["--key-file", str(tmp_path / "key"), "--agent", "gateway-agent"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as agent:
            assert agent.stderr is not None
            said = ""
            while (found := re.search(r"http://(\S+)/api/telemetry", said)) is None:
                line = agent.stderr.readline()
                assert line, said
                said += line
            assert "without a token" in said
            for number in range(5):
                report = telemetry(path=f"/pets/{number}?token=s3cret")
                url = f"http://{found[1]}/api/telemetry"
                assert httpx.post(url, content=report, trust_env=False).status_code == 200
            assert (
                httpx.post(f"http://{found[1]}/api/telemetry", content=b"{", trust_env=False).status_code
                == 400
            )
            wait_for(lambda: len(server.items("/exchanges")) == 5, "five exchanges")
            agent.terminate()
            agent.communicate()
            assert agent.returncode == 0
        exchanges = server.items("/exchanges")
        assert not [one for one in exchanges if "s3cret" in json.dumps(one)]
        assert {one["server"]["namespace"] for one in exchanges} == {"shop"}
        ledger = server.get("/ledger")["agents"]["exchanges"]
        assert (ledger["parsed"], ledger["shipped"], ledger["unreadable"]) == (6, 5, 1)
