from __future__ import annotations

import time
from itertools import product

import pytest

from agent.wire import Capture, Mask
from tests.server.api.test_metrics import value
from tests.server.records import batch, both, record
from tests.server.running import Client


def test_what_was_sent_can_be_read(client: Client) -> None:
    client.send(record(path="/users/7?a=1"))
    (exchange,) = client.items("/exchanges")
    assert exchange["path"] == {"text": "/users/7"}
    assert exchange["query"] == {"text": "a=1"}
    assert exchange["operation"] == "GET /users/{id}"
    assert exchange["response"]["body"] == {"text": '{"id": "a"}'}
    (api,) = client.items("/apis")
    assert (api["kind"], api["name"], api["hosts"]) == ("process", "nginx:8080", ["shop.local:8080"])
    assert client.get(f"/exchanges/{exchange['id']}") == exchange


def test_a_batch_that_comes_again_is_acknowledged_and_counts_once(client: Client) -> None:
    raw = batch(1, [record(0), record(1)])
    for _ in range(3):
        assert client.http.post("/api/v1/records", content=raw).json() == {"acked": 1}
    client.settle()
    assert len(client.items("/exchanges")) == 2
    assert client.operations()["GET /users/{id}"]["count"] == 2
    assert client.server_ledger() == {"stored": 2, "duplicate_batch": 4}


def test_a_record_that_comes_again_in_another_batch_counts_once(client: Client) -> None:
    client.send(record(0), record(1))
    client.send(record(1), record(2), record(2))
    assert client.operations()["GET /users/{id}"]["count"] == 3
    assert client.server_ledger() == {"stored": 3, "duplicate": 2}


@pytest.mark.parametrize(("lag_ms", "settled"), [(0, 1), (60_000, 0)])
def test_an_agent_that_lags_holds_back_what_it_may_still_deliver(
    client: Client, lag_ms: int, settled: int
) -> None:
    client.core.settling.stop()
    client.deliver(record(0, "client", start=time.time_ns() - 3_000_000_000))
    client.report(Capture("everything", lag_ms))
    assert value(client, 'spectap_server_exchanges_settled_total{by="watermark"}') == settled


def test_a_mask_at_an_index_without_end_does_not_keep_a_batch_out(client: Client) -> None:
    client.send(record(0, masks=(Mask("path", "9" * 5000, "shape"),)))
    assert len(client.items("/exchanges")) == 1


def test_two_views_are_one_exchange_with_two_witnesses(client: Client) -> None:
    client.send(*both(0), *both(1))
    exchanges = client.items("/exchanges")
    assert [[one["side"] for one in exchange["witnesses"]] for exchange in exchanges] == [
        ["client", "server"],
        ["client", "server"],
    ]
    (api,) = client.items("/apis")
    assert (api["kind"], api["exchanges"]) == ("process", 2)
    seen = dict.fromkeys(("first_seen", "last_seen"), "2026-11-23T12:00:00.000000000Z")
    assert client.operations()["GET /users/{id}"]["callers"] == [
        {"kind": "process", "name": "curl", "count": 2, **seen}
    ]


def test_who_guesses_at_paths_does_not_displace_what_is_there(client: Client) -> None:
    words = ("".join(letters) for letters in product("abcdefgh", "klmnopqr", "stuvwxyzij"))
    guesses = [record(n, path=f"/guess-{word}/x", status=404) for n, word in enumerate(words)]
    for at in range(0, len(guesses), 200):
        client.send(*guesses[at : at + 200])
    client.send(record(1000, path="/real"))
    operations = client.operations()
    assert operations["GET /real"]["count"] == 1
    assert sum(operation["count"] for operation in operations.values()) == len(guesses) + 1
