"""The status page: accurate, on loopback, documented."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.lag import Lag
from agent.ledger import Bytes, Exchanges, Kernel, Steps
from agent.listening import ListenError
from agent.status import (
    METRICS,
    MOST_CONNECTIONS,
    STALLED_S,
    BeforeProbes,
    Snapshot,
    StatusServer,
    Watched,
    why_not_ready,
)

README = Path(__file__).parents[2] / "agent" / "README.md"
NOW = 1000.0
CAPTURING = Snapshot(
    agent="node-1",
    version="0.1.0",
    attached=True,
    turned_at=NOW,
    ledger={"bytes": {"parsed": 70, "late": 5}, "exchanges": {"shipped": 3}, "kernel": {}},
    backend="tracepoints",
    watching=(Watched("openssl", "/usr/lib/libssl.so.3", 12),),
    connections_open=2,
    before_probes=(BeforeProbes("curl", 500, 2),),
    lag=Lag(capture_s=1.5, delivery_s=0.25),
    scope="everything",
)


@contextmanager
def serving(snapshot: Snapshot, host: str = "127.0.0.1", token: str | None = None) -> Iterator[StatusServer]:
    server = StatusServer((host, 0), lambda: snapshot, lambda: None, token)
    server.start()
    try:
        yield server
    finally:
        server.close()


def get(
    server: StatusServer, path: str, host: str | None = None, token: str | None = None
) -> tuple[int, str]:
    connection = http.client.HTTPConnection(server.address, timeout=30)
    given = {"Host": host, "Authorization": token}
    try:
        connection.request(
            "GET", path, headers={name: text for name, text in given.items() if text is not None}
        )
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def alive() -> Snapshot:
    return replace(CAPTURING, turned_at=time.monotonic())


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        (CAPTURING, None),
        (replace(CAPTURING, attached=False), "not attached"),
        (replace(CAPTURING, turned_at=None), "not started"),
        (replace(CAPTURING, turned_at=NOW - STALLED_S - 1), "no progress"),
        (replace(CAPTURING, stopping=True), "stopping"),
    ],
)
def test_ready_means_attached_and_turning(snapshot: Snapshot, reason: str | None) -> None:
    found = why_not_ready(snapshot, NOW)
    assert found is None if reason is None else reason in (found or "")


def test_readyz_follows_readiness_and_healthz_does_not() -> None:
    with serving(alive()) as server:
        assert get(server, "/readyz") == (200, "ready\n")
    with serving(replace(CAPTURING, attached=False)) as server:
        assert get(server, "/readyz")[0] == 503
        assert get(server, "/healthz") == (200, "ok\n")


def test_status_says_what_is_watched_and_how_far_detaching_is() -> None:
    with serving(replace(alive(), stopping=True, detach_done=3, detach_total=28)) as server:
        status, body = get(server, "/status")
    document = json.loads(body)
    assert status == 200
    assert document["agent"] == "node-1"
    assert document["ready"] is False
    assert document["backend"] == "tracepoints"
    assert document["watching"] == [{"what": "openssl", "path": "/usr/lib/libssl.so.3", "probes": 12}]
    assert document["ledger"]["bytes"] == {"parsed": 70, "late": 5}
    assert document["before_probes"] == [{"process": "curl", "bytes": 500, "connections": 2}]
    assert document["stopping"] is True
    assert document["detach"] == {"done": 3, "total": 28}
    assert document["captured"] == "everything"
    assert document["lag"] == {"capture_s": 1.5, "delivery_s": 0.25, "total_s": 1.75}


def test_an_agent_that_captures_nothing_has_no_lag() -> None:
    with serving(replace(alive(), lag=None)) as server:
        assert json.loads(get(server, "/status")[1])["lag"] is None
        assert "spectap_agent_lag_seconds" not in get(server, "/metrics")[1]


def test_every_bucket_is_a_labelled_counter_even_at_zero() -> None:
    with serving(alive()) as server:
        body = get(server, "/metrics")[1]
    found = {
        (sample.name, sample.labels.get("bucket")): sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
    }
    assert found["spectap_agent_bytes_total", "parsed"] == 70
    assert found["spectap_agent_bytes_total", "late"] == 5
    assert found["spectap_agent_ready", None] == 1
    assert found["spectap_agent_before_probes_bytes_total", None] == 500
    assert found["spectap_agent_connections_open", None] == 2
    assert {bucket for name, bucket in found if name == "spectap_agent_bytes_total"} == set(Bytes)
    counted = {bucket for name, bucket in found if name == "spectap_agent_exchanges_total"}
    assert counted == set(Exchanges) - {"in_flight"}
    assert {bucket for name, bucket in found if name == "spectap_agent_kernel_events_total"} == set(Kernel)
    assert {bucket for name, bucket in found if name == "spectap_agent_steps_total"} == set(Steps)


def test_the_metrics_served_are_the_metrics_listed_and_documented() -> None:
    with serving(alive()) as server:
        body = get(server, "/metrics")[1]
    served = {
        sample.name
        for family in text_string_to_metric_families(body)
        for sample in family.samples
        if not family.name.startswith("process_")
    }
    text = README.read_text()
    assert served == set(METRICS)
    assert set(re.findall(r"`(spectap_agent_\w+)", text)) == set(METRICS)
    assert {str(bucket) for kind in (Bytes, Exchanges, Kernel, Steps) for bucket in kind} <= set(
        re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    )


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9464", "[::1]:9464", "127.8.9.1", "LOCALHOST:1"])
def test_loopback_names_are_answered(host: str) -> None:
    with serving(alive()) as server:
        assert get(server, "/healthz", host)[0] == 200


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[", "a:b:c"])
def test_any_other_host_header_is_refused(host: str) -> None:
    with serving(alive()) as server:
        assert get(server, "/status", host)[0] == 421


def test_with_a_token_only_health_is_open_under_any_name() -> None:
    with serving(alive(), token="of-the-status-page") as server:
        for path, open_to_all in (("/healthz", 200), ("/readyz", 200), ("/metrics", 401), ("/status", 401)):
            assert get(server, path, "10.1.2.3:9464")[0] == open_to_all
            assert get(server, path, "10.1.2.3:9464", "Bearer of-another-page")[0] == open_to_all
            assert get(server, path, "10.1.2.3:9464", "Bearer of-the-status-page")[0] == 200


def test_an_unknown_page_is_not_found() -> None:
    with serving(alive()) as server:
        assert get(server, "/")[0] == 404


def test_ipv6_loopback_can_be_listened_on() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with serving(alive(), "::1") as server:
        assert server.address.startswith("[::1]:")
        assert get(server, "/healthz")[0] == 200


def test_a_taken_port_is_one_clear_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = ("127.0.0.1", taken.getsockname()[1])
        sentence = f"cannot serve the status page at 127.0.0.1:{address[1]} .*in use.*--status-listen"
        with pytest.raises(ListenError, match=sentence):
            StatusServer(address, alive, lambda: None)


def test_connections_beyond_the_bound_are_closed_and_others_go_on() -> None:
    with serving(alive()) as server:
        host, port = server.address.split(":")
        idle = [socket.create_connection((host, int(port)), timeout=30) for _ in range(MOST_CONNECTIONS)]
        with socket.create_connection((host, int(port)), timeout=30) as beyond:
            assert beyond.recv(1) == b""
        for connection in idle:
            connection.close()
        deadline = time.monotonic() + 30
        while True:
            try:
                assert get(server, "/healthz")[0] == 200
                break
            except (ConnectionError, http.client.HTTPException):
                assert time.monotonic() < deadline
