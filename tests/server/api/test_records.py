from __future__ import annotations

import threading
from collections.abc import Iterator

import msgpack
import pytest
import zstandard

from agent.wire import MAX_BATCH
from server.api import bundles, health, records
from server.services import intake
from tests.server.records import batch, record
from tests.server.running import Client, wait_for
from tests.server.sql import sql


@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x80", b"[]", b"\x93\x01\x02", b"x" * 5000])
def test_what_is_no_batch_is_refused_and_nothing_of_it_is_repeated(client: Client, raw: bytes) -> None:
    answer = client.http.post("/api/v1/records", content=raw)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "xxxx" not in answer.text
    assert client.server_ledger() == {}


def test_a_compressed_batch_is_taken(client: Client) -> None:
    raw = zstandard.compress(batch(1, [record()]))
    answer = client.http.post("/api/v1/records", content=raw, headers={"Content-Encoding": "zstd"})
    assert answer.json() == {"acked": 1}


def test_a_content_coding_we_do_not_know_is_said_so_that_the_agent_sends_none(client: Client) -> None:
    answer = client.http.post("/api/v1/records", content=batch(1, []), headers={"Content-Encoding": "br"})
    assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json")
    assert client.http.post("/api/v1/records", content=batch(1, [])).json() == {"acked": 1}


def test_a_small_body_that_would_unpack_beyond_the_bound_is_refused(client: Client) -> None:
    bomb = zstandard.compress(b"\0" * MAX_BATCH) * 1000
    assert len(bomb) < 5_000_000
    answer = client.http.post("/api/v1/records", content=bomb, headers={"Content-Encoding": "zstd"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert "larger than" in answer.json()["detail"]


def test_a_small_body_of_millions_of_records_is_refused_by_name(client: Client) -> None:
    count = 30_000_000
    start = batch(1, []).removesuffix(b"\x90")
    raw = zstandard.compress(start + msgpack.Packer().pack_array_header(count) + b"\xc0" * count)
    assert len(raw) < 2000
    answer = client.http.post("/api/v1/records", content=raw, headers={"Content-Encoding": "zstd"})
    assert (answer.status_code, "batch.records" in answer.json()["detail"]) == (400, True)


def test_bodies_beyond_the_bound_are_refused_declared_or_not(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_BATCH", 1000)
    monkeypatch.setattr(bundles, "MAX_SPEC", 1000)

    def chunks() -> Iterator[bytes]:
        yield from (b"x" * 400 for _ in range(3))

    for path in ("/api/v1/records", "/api/v1/specs?host=x"):
        for content in (b"x" * 1001, chunks()):
            answer = client.http.post(path, content=content)
            assert answer.status_code == 413, path


def test_a_full_disk_is_said_and_nothing_is_acknowledged(client: Client) -> None:
    store = client.core.store

    def pragma(statement: str) -> int:
        return int(sql(store, f"PRAGMA {statement}")[0][0])

    client.send(record(0))
    pragma(f"max_page_count = {pragma('page_count')}")
    many = [record(n, path=f"/{n}") for n in range(1, 300)]
    answer = client.http.post("/api/v1/records", content=batch(2, many))
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "full" in answer.json()["detail"]
    assert "retry-after" in answer.headers
    assert len(client.items("/exchanges")) == 1
    for _ in range(3):  # a small write may still fit
        unready = client.http.get("/readyz")
        assert (unready.status_code, "full" in unready.json()["detail"]) == (503, True)
    pragma("max_page_count = 1000000")
    assert client.http.get("/readyz").status_code == 200
    assert store.refused is None
    assert client.http.post("/api/v1/records", content=batch(2, many)).json() == {"acked": 2}
    assert client.server_ledger() == {"stored": 300}
    client.settle()
    assert sum(one["count"] for one in client.operations().values()) == 300


def test_readiness_follows_the_database(client: Client) -> None:
    assert client.http.get("/healthz").json() == {"status": "ok"}
    assert client.http.get("/readyz").json() == {"status": "ok"}
    client.core.store.close()
    answer = wait_for(lambda: client.http.get("/readyz"), "answer")
    assert answer.status_code == 503
    assert client.http.get("/healthz").status_code == 200


def test_health_follows_the_writer_and_waits_for_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "STUCK_S", 0.0)
    began, released = threading.Event(), threading.Event()

    def hang(_unit: object) -> None:
        began.set()
        released.wait()

    monkeypatch.setattr(health, "READY_S", 0.2)
    assert client.http.get("/healthz").status_code == 200
    hung = client.core.store.write(hang)
    began.wait()
    try:
        answer = client.http.get("/healthz")
        assert answer.status_code == 503
        assert answer.json()["status"].startswith("the database's writer has made no progress for")
        unready = client.http.get("/readyz")
        assert (unready.status_code, "no write" in unready.json()["detail"]) == (503, True)
    finally:
        released.set()
    hung.result()
    wait_for(lambda: client.http.get("/healthz").status_code == 200, "health")
