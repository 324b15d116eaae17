"""What APIs do as metrics: cheap to read, with bounded labels, and names only for who may read them."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from agent.wire import Endpoint, Record, pack_batch, pack_record
from server.config import digest
from server.services.measures import MOST_APIS, OTHER
from tests.server.engine import spec
from tests.server.records import NETNS, record
from tests.server.running import PATIENCE_S, Client, serving
from tests.server.sql import sql

ADMIN = "admin-token-0123456789"


def samples(client: Client, metric: str, **headers: str) -> dict[tuple[str, ...], float]:
    """The values of a metric by its labels' values, in the order of their names."""
    text = client.http.get("/metrics", headers=headers).text
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"spectap_server_{metric}"
    }


@pytest.fixture
def used(client: Client) -> Client:
    """A server with a specification, of whose operations some are called."""
    document = spec("GET /users/{id}", "!GET /old", "GET /never", "GET /no")
    client.http.post("/api/v1/specs?host=shop.local:8080", content=document).raise_for_status()
    client.send(
        record(0), record(1), record(2, status=500), record(3, path="/old"), record(4, path="/x", status=None)
    )
    return client


def test_exchanges_are_counted_by_verdict_and_class_of_status(used: Client) -> None:
    expected = {
        ("2xx", "conforming"): 2,
        ("5xx", "deviating"): 1,
        ("2xx", "zombie"): 1,
        ("none", "shadow"): 1,
    }
    assert samples(used, "exchanges_total") == expected
    by_api = samples(used, "api_exchanges_total")
    assert by_api == {("nginx:8080", "", *labels): count for labels, count in expected.items()}


def test_operations_are_counted_by_state(used: Client) -> None:
    expected = {"called": 3, "undocumented": 1, "deprecated": 1, "described": 4, "unused": 2}
    assert samples(used, "operations") == {(state,): count for state, count in expected.items()}
    assert samples(used, "api_operations") == {
        ("nginx:8080", "", state): count for state, count in expected.items()
    }


def test_deviations_are_counted_by_kind_and_severity(used: Client) -> None:
    counted = samples(used, "deviations")
    assert {kind for kind, _ in counted} == {"unknown-path", "unknown-status"}
    assert sum(counted.values()) == 2


def test_every_bucket_of_loss_is_there_before_anything_is_lost(client: Client) -> None:
    lost = samples(client, "agents_lost_total")
    assert set(lost.values()) == {0}
    assert {("ring_full", "bytes"), ("spool_full", "exchanges")} <= set(lost)
    assert samples(client, "agents_seen_total") == {("bytes",): 0, ("exchanges",): 0}
    ledger = {"bytes": {"seen": 100, "ring_full": 9}, "exchanges": {"parsed": 7, "spool_full": 2}}
    raw = pack_batch("agent-1", "1", 1, ledger, [pack_record(record())])
    client.http.post("/api/v1/records", content=raw).raise_for_status()
    assert samples(client, "agents_lost_total")[("ring_full", "bytes")] == 9
    assert samples(client, "agents_lost_total")[("spool_full", "exchanges")] == 2
    assert samples(client, "agents_seen_total") == {("bytes",): 100, ("exchanges",): 7}


def test_a_scrape_reads_no_exchange_and_needs_no_writer(used: Client) -> None:
    before = used.http.get("/metrics").text
    for table in ("exchanges", "witnesses", "calls"):
        sql(used.core.store, f"ALTER TABLE {table} RENAME TO hidden_{table}")
    busy, ended = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        busy.set()
        ended.wait(PATIENCE_S)

    waiting = used.core.store.write(hold)
    try:
        assert busy.wait(PATIENCE_S)
        after = used.http.get("/metrics").text
    finally:
        ended.set()
        waiting.result(PATIENCE_S)
    for name in ("exchanges_total", "operations{", "deviations{", "api_exchanges_total", "api_operations{"):
        lines = [line for line in before.splitlines() if line.startswith(f"spectap_server_{name}")]
        assert lines
        assert set(lines) <= set(after.splitlines())


def test_beyond_the_bound_apis_are_counted_together_and_names_stay(client: Client) -> None:
    def of(port: int, count: int) -> list[Record]:
        server = Endpoint("127.0.0.1", port, NETNS)
        return [record(number, port=40000 + port, server=server) for number in range(count)]

    ports = range(9000, 9000 + MOST_APIS + 5)
    client.send(*(one for port in ports for one in of(port, 2 if port < 9000 + MOST_APIS else 1)))
    assert len(client.items("/apis")) == len(ports)
    first = samples(client, "api_exchanges_total")
    assert len(first) == MOST_APIS + 1
    assert first[(OTHER, "", "2xx", "none")] == 5
    client.send(*(replace(one, id=f"again {one.id}") for one in of(ports[-1], 9)))
    second = samples(client, "api_exchanges_total")
    assert second == {**first, (OTHER, "", "2xx", "none"): 14}
    assert len(samples(client, "api_operations")) == 5 * (MOST_APIS + 1)


def test_names_of_apis_are_shown_only_to_who_may_read(tmp_path: Path) -> None:
    with serving(tmp_path, admin_token=digest(ADMIN)) as client:
        client.send(record(0))
        open_to_all = client.http.get("/metrics").text
        assert "nginx" not in open_to_all
        assert "spectap_server_exchanges_total{" in open_to_all
        allowed = client.http.get("/metrics", headers={"Authorization": f"Bearer {ADMIN}"}).text
        assert 'spectap_server_api_exchanges_total{api="nginx:8080"' in allowed


def test_a_half_that_comes_late_counts_its_exchange_no_second_time(client: Client) -> None:
    client.core.settling.stop()
    client.deliver(record(0, "client"))
    client.settle()
    assert sum(samples(client, "exchanges_total").values()) == 1
    client.send(record(0, "server"))  # the late half: the same exchange
    assert sum(samples(client, "exchanges_total").values()) == 1
