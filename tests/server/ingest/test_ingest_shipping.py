"""The agent's own shipper with the real server: each record is stored once, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.ship.shipper import ShipLimits, Shipper
from agent.wire import pack_record
from server.config import digest
from tests.server.records import record
from tests.server.running import Client, serving, wait_for

TOKEN, ADMIN = "ingest-token-0123456789", "admin-token-0123456789"
QUICK = ShipLimits(batch_records=20, flush_s=0.01, retry_first_s=0.01, retry_most_s=0.05, heartbeat_s=0.05)


def ship(client: Client, count: int, token: str | None = None) -> Shipper:
    shipper = Shipper(str(client.http.base_url), token, "agent-1", "epoch-1", lambda: {}, QUICK)
    shipper.start()
    for n in range(count):
        shipper.offer(pack_record(record(n, path=f"/{n}")))
    return shipper


def test_all_that_an_agent_ships_is_stored_once(client: Client) -> None:
    shipper = ship(client, 250)
    assert shipper.close(30) == 0
    assert client.server_ledger() == {"stored": 250}
    assert shipper.totals()["exchanges"] == {"parsed": 250, "shipped": 250}


def test_an_answer_that_is_lost_makes_no_duplicate(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[float] = []

    def fail_after_commit(seconds: float) -> None:
        if len(lost) < 3:
            lost.append(seconds)
            raise RuntimeError("the answer is lost")

    monkeypatch.setattr(client.metrics.write_seconds, "observe", fail_after_commit)
    shipper = ship(client, 100)
    assert shipper.close(30) == 0
    assert len(lost) == 3
    ledger = client.server_ledger()
    assert (ledger["stored"], ledger["duplicate_batch"] > 0) == (100, True)
    assert len(client.items("/exchanges")) == 100


def test_a_token_opens_the_way(tmp_path: Path) -> None:
    with serving(tmp_path, ingest_token=digest(TOKEN), admin_token=digest(ADMIN)) as client:
        assert ship(client, 10, TOKEN).close(30) == 0
        client.http.headers["Authorization"] = f"Bearer {ADMIN}"
        wait_for(lambda: client.server_ledger() == {"stored": 10}, "records")
