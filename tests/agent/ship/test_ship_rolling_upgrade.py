"""Server upgraded first, agents later: a batch of an earlier wire version is stored like a current one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zstandard
from msgspec.structs import replace

from agent import wire
from agent.ship import spool
from agent.ship.shipper import Shipper, SpoolConfig
from tests.server.records import record
from tests.server.running import Client, serving

BATCHES = Path(__file__).parents[2] / "data" / "wire"
EARLIER = sorted(wire.EARLIER)


@pytest.fixture(scope="module", params=EARLIER)
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def batch(version: int) -> dict[str, Any]:
    """The stored batch of that version, unpacked."""
    return dict(msgpack.unpackb(stored(version)))


@pytest.fixture(scope="module")
def client(version: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("server")) as client:
        sent = stored(version)
        for body, coding in ((sent, "identity"), (zstandard.compress(sent), "zstd")):
            answer = client.http.post("/api/v1/records", content=body, headers={"Content-Encoding": coding})
            assert (answer.status_code, answer.json()) == (200, {"acked": 3}), answer.text
        client.settle()
        yield client


def stored(version: int) -> bytes:
    return (BATCHES / f"batch-v{version}.msgpack").read_bytes()


def test_every_earlier_version_is_read() -> None:
    assert [*range(1, wire.VERSION)] == EARLIER


def test_the_batch_under_test_is_of_that_version(version: int, batch: dict[str, Any]) -> None:
    assert batch["version"] == version


def test_each_of_its_records_is_stored_once(client: Client, batch: dict[str, Any]) -> None:
    records = batch["records"]
    shown = client.items("/exchanges")
    assert sum(len(one["witnesses"]) for one in shown) == len(records) == 6
    assert client.server_ledger() == {"stored": 5, "witness": 1, "duplicate_batch": 6}


def test_what_its_records_said_is_shown(client: Client) -> None:
    shown = {one["id"]: one for one in client.items("/exchanges")}
    paid = shown["server-40001-1"]
    assert (paid["method"], paid["status"], paid["tls"]) == ("POST", 201, "openssl")
    assert paid["request"]["headers"][2] == [{"text": "x-raw"}, {"base64": "//4="}]
    assert paid["server"]["workload"] == "payments"
    assert shown["client-40001-2"]["status"] is None


def test_its_ledger_counts(client: Client, version: int) -> None:
    (agent,) = client.items("/agents")
    assert (agent["agent"], agent["last_seq"]) == (f"agent-v{version}", 3)
    assert agent["ledger"]["exchanges"] == {"parsed": 7, "shipped": 1}


def test_records_that_an_older_agent_left_in_the_spool_are_sent_as_its_version(
    client: Client, batch: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = SpoolConfig(tmp_path / "spool.db", 1 << 20, 3600)
    older = [replace(record(n), id=f"left-{n}") for n in range(3)]
    version, packed = older_form(batch, older)
    monkeypatch.setattr(spool, "VERSION", version)
    left = spool.Spool(place, "agent-old", "epoch-old", time.time_ns())
    left.put(packed, {}, time.time_ns())
    left.close()
    monkeypatch.undo()
    newer = Shipper(str(client.http.base_url), None, "agent-new", "epoch-new", lambda: {}, spool=place)
    newer.start()
    newer.offer(wire.pack_record(replace(record(9), id="new-9")))
    assert newer.close(30) == 0
    client.settle()
    stored = {one["id"] for one in client.items("/exchanges")}
    assert stored >= {"left-0", "left-1", "left-2", "new-9"}


def older_form(batch: dict[str, Any], records: list[wire.Record]) -> tuple[int, list[bytes]]:
    """These records as a batch of the older version: with its fields only."""
    fields = batch["records"][0].keys()
    plain = [msgpack.unpackb(wire.pack_record(one)) for one in records]
    return batch["version"], [msgpack.packb({name: one[name] for name in fields}) for one in plain]
