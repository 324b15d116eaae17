from __future__ import annotations

import re
from pathlib import Path

from server.api import metrics
from server.ingest.holding import SettledBy
from tests.server.records import batch, both, record
from tests.server.running import Client

README = Path(metrics.__file__).parent.with_name("README.md")


def value(client: Client, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", client.http.get("/metrics").text, re.MULTILINE)
    assert found, sample
    return float(found[1])


def test_every_metric_is_listed_and_documented(client: Client) -> None:
    client.send(*both(0))
    names = client.metrics.names()
    exposed = re.findall(r"^# TYPE (\S+)", client.http.get("/metrics").text, re.MULTILINE)
    assert sorted(name for name in exposed if not name.endswith("_created")) == names
    text = README.read_text()
    assert not [name for name in names if f"`{name}`" not in text and f"`{name}{{" not in text]


def test_metrics_count_batches_and_records_by_where_they_went(client: Client) -> None:
    client.send(*both(0), record(1))
    client.http.post("/api/v1/records", content=batch(1, [record(2)]))
    client.http.post("/api/v1/records", content=b"nonsense")
    assert value(client, 'spectap_server_batches_total{outcome="stored"}') == 2
    assert value(client, 'spectap_server_batches_total{outcome="refused"}') == 1
    assert value(client, 'spectap_server_records_total{outcome="stored"}') == 2
    assert value(client, 'spectap_server_records_total{outcome="witness"}') == 1
    assert value(client, 'spectap_server_records_total{outcome="duplicate_batch"}') == 1
    assert value(client, "spectap_server_database_bytes") > 0
    assert value(client, "spectap_server_accept_seconds_count") == 2


def test_metrics_say_what_waits_and_how_it_was_settled(client: Client) -> None:
    client.core.settling.stop()
    client.deliver(record(0, "client"), record(1, "client"))
    assert value(client, "spectap_server_views_held") == 2
    assert value(client, "spectap_server_watermark_age_seconds") > 0
    client.deliver(record(0, "server"))
    client.settle()
    client.send(record(1, "server"))
    assert value(client, "spectap_server_views_held") == 0
    assert value(client, "spectap_server_watermark_age_seconds") == 0
    assert value(client, "spectap_server_lone_views_given_up") == 0
    total = "spectap_server_exchanges_settled_total"
    settled = {by.value: value(client, f'{total}{{by="{by.value}"}}') for by in SettledBy}
    assert settled == {**dict.fromkeys(settled, 0), "paired": 1, "time": 1, "late": 1}
