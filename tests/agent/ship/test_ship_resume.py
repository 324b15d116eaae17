"""Records that one start of the agent could not send are sent by the next; and behaviour when the disk
fails.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from agent.ship import spool as spool_module
from agent.ship.parcel import LedgerMap
from agent.ship.shipper import Shipper, SpoolConfig
from agent.ship.spool import Spool
from agent.ship.spool_file import SpoolBroken
from tests.agent.ship.stores import (
    PATIENCE_S,
    QUICK,
    Store,
    nowhere,
    packed,
    serving,
    shipper,
    status,
    totals,
)


@pytest.fixture
def spool(tmp_path: Path) -> SpoolConfig:
    return SpoolConfig(tmp_path / "spool.db", 1 << 26, 3600)


def test_what_could_not_be_sent_is_sent_by_the_next_start(spool: SpoolConfig) -> None:
    first = shipper(nowhere(), place=spool)
    first.start()
    for number in range(1200):
        first.offer(packed(number))
    assert first.close(1.0) == 0
    assert totals(first) == {"in_flight": 1200}
    store = Store([])
    with serving(store) as url:
        second = shipper(url, place=spool, epoch="epoch-2")
        second.start()
        second.offer(packed(5000))
        assert second.close(PATIENCE_S) == 0
    assert store.records() == Counter([*range(1200), 5000])
    assert totals(second) == {"shipped": 1}
    ledgers = dict(zip(store.epochs, store.ledgers, strict=True))
    assert ledgers["epoch-1"]["exchanges"] == {"parsed": 1200, "shipped": 1200}
    assert ledgers["epoch-2"]["exchanges"] == {"parsed": 1, "shipped": 1}


@pytest.mark.parametrize("opened", [False, True])
def test_a_killed_starts_last_word_is_sent_once_the_next_one_watches(
    spool: SpoolConfig, opened: bool
) -> None:
    killed = Spool(spool, "agent-1", "epoch-1", 1)
    killed.put([], {}, 1)
    killed.close()
    store = Store([])
    with serving(store) as url:
        second = shipper(url, place=spool, epoch="epoch-2")
        if not opened:
            second.capture_started(5_000_001)
        second.start()
        if opened:
            second.offer(packed(1))
            store.wait(lambda: sum(store.records().values()) == 1)
            assert store.epochs == ["epoch-2"]
            second.capture_started(5_000_001)
        assert second.close(PATIENCE_S) == 0
    ledgers = dict(zip(store.epochs, store.ledgers, strict=True))
    assert ledgers["epoch-1"]["stops"] == {"killed": 1, "blind_ms": 5}


def test_after_a_clean_stop_the_next_starts_own_ledger_has_the_blind_time(spool: SpoolConfig) -> None:
    stopped = Spool(spool, "agent-1", "epoch-1", 1)
    stopped.end_blind_time(1)
    stopped.end({}, 5_000_000, ledger_sent=True)
    stopped.close()
    store = Store([])
    with serving(store) as url:
        second = shipper(url, place=spool, epoch="epoch-2")
        second.capture_started(47_000_000)
        second.start()
        assert second.close(PATIENCE_S) == 0
    assert {*store.epochs} == {"epoch-2"}
    assert store.ledgers[-1]["stops"] == {"blind_ms": 42}


def test_a_batch_whose_answer_was_lost_with_its_sender_keeps_its_number_and_bytes(spool: SpoolConfig) -> None:
    store = Store([], commit_first=True)
    store.always = status(503)
    with serving(store) as url:
        first = shipper(url, place=spool)
        first.start()
        for number in range(30):
            first.offer(packed(number))
        store.wait(lambda: sum(store.records().values()) > 0)
        first.close(0.0)
        before = len(store.posts)
        store.always = lambda batch: None
        second = shipper(url, place=spool, epoch="epoch-2")
        second.start()
        assert second.close(PATIENCE_S) == 0
    assert store.posts[before] == store.posts[before - 1]
    assert store.records() == Counter(range(30))


def test_a_spool_that_cannot_be_used_is_said_once_and_memory_takes_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "agent")
    (tmp_path / "file").touch()
    store = Store([])
    with serving(store) as url:
        ship = shipper(url, place=SpoolConfig(tmp_path / "file" / "spool.db", 1, 1))
        ship.start()
        for number in range(100):
            ship.offer(packed(number))
        store.wait(lambda: sum(store.records().values()) == 100)
        assert ship.close(PATIENCE_S) == 0
    assert store.records() == Counter(range(100))
    assert totals(ship) == {"shipped": 100}
    (said,) = [record.getMessage() for record in caplog.records if "spool" in record.getMessage()]
    assert "kept in memory until it can" in said


def test_once_the_disk_works_again_records_go_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "agent")
    folder = tmp_path / "folder"
    folder.touch()
    ship = shipper(nowhere(), place=SpoolConfig(folder / "spool.db", 1 << 26, 3600))
    ship.start()
    for number in range(100):
        ship.offer(packed(number))
    with ship._change:
        assert ship._change.wait_for(lambda: not ship._backlog._to_disk, PATIENCE_S)
    folder.unlink()
    with ship._change:
        assert ship._change.wait_for(lambda: ship._backlog._to_disk, PATIENCE_S)
    ship.offer(packed(100))
    with ship._change:
        assert ship._change.wait_for(lambda: ship._backlog.on_disk > 0, PATIENCE_S)
    lost = ship.close(0.5)
    assert lost <= 100  # the batch being sent from memory
    store = Store([])
    with serving(store) as url:
        second = shipper(url, place=SpoolConfig(folder / "spool.db", 1 << 26, 3600), epoch="epoch-2")
        second.start()
        second.close(PATIENCE_S)
    assert sum(store.records().values()) == 101 - lost
    assert "the spool works again" in caplog.text


def test_where_the_disk_and_the_server_are_away_the_oldest_is_dropped_and_counted(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    limits = replace(QUICK, queue_bytes=1000, batch_records=10)
    ship = shipper(nowhere(), limits, place=SpoolConfig(tmp_path / "file" / "spool.db", 1, 1))
    for number in range(120):  # one byte each
        ship.offer(packed(number))
    ship.start()
    ship.offer(b"x" * 995)
    lost = ship.close(0.5)
    found = totals(ship)
    assert found["queue_full"] + found["unsent_at_exit"] == 121
    assert found["unsent_at_exit"] == lost > 0


def test_a_record_the_spool_did_not_give_back_is_counted_and_the_others_arrive(spool: SpoolConfig) -> None:
    first = shipper(nowhere(), place=spool)
    first.start()
    for number in range(3):
        first.offer(packed(number))
    first.close(1.0)
    with sqlite3.connect(spool.file) as db:
        db.execute("UPDATE parcels SET frame = x'00', number = 1, records = 3 WHERE number = 1")
    db.close()
    store = Store([])
    store.always = lambda batch: None
    with serving(store) as url:
        second = shipper(url, place=spool, epoch="epoch-2")
        second.start()
        second.offer(packed(9))
        second.close(PATIENCE_S)
    assert store.records() == Counter([9])
    assert store.ledgers[store.epochs.index("epoch-1")]["exchanges"] == {"parsed": 3, "spool_unreadable": 3}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_of_the_spool_costs_its_safety_and_not_the_records(
    spool: SpoolConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a defect")

    store = Store([])
    with serving(store) as url:
        ship = shipper(url, place=spool)
        monkeypatch.setattr(Spool, "take", lambda *_: None)
        monkeypatch.setattr(spool_module, "trim", fails)
        ship.start()
        for number in range(50):
            ship.offer(packed(number))
        store.wait(lambda: sum(store.records().values()) == 50)
        assert ship.close(PATIENCE_S) == 0
    assert store.records() == Counter(range(50))


def test_a_checkpoint_counts_as_parsed_what_is_on_disk_and_not_what_is_still_in_memory(
    spool: SpoolConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []
    put = Spool.put

    def recorded(self: Spool, records: list[bytes], ledger: LedgerMap, now: int) -> Counter[str]:
        parsed.append(ledger["exchanges"]["parsed"])
        return put(self, records, ledger, now)

    monkeypatch.setattr(Spool, "put", recorded)
    ship = Shipper(nowhere(), None, "agent-1", "epoch-1", dict, QUICK, spool)
    for number in range(1200):
        ship.offer(packed(number))
    ship.start()
    assert ship.close(1.0) == 0
    assert parsed[:3] == [500, 1000, 1200]


def test_what_a_spool_holds_that_breaks_is_counted_and_the_next_records_arrive(
    spool: SpoolConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = threading.Event()
    put = Spool.put

    def breaking(self: Spool, records: list[bytes], ledger: LedgerMap, now: int) -> Counter[str]:
        if records and self.records >= 50 and not broken.is_set():
            broken.set()
            raise SpoolBroken("the file is damaged")
        return put(self, records, ledger, now)

    monkeypatch.setattr(Spool, "put", breaking)
    store = Store([])
    store.always = status(503)
    with serving(store) as url:
        ship = shipper(url, replace(QUICK, batch_records=10), place=spool)
        for number in range(60):
            ship.offer(packed(number))
        ship.start()
        assert broken.wait(PATIENCE_S)
        store.always = lambda batch: None
        assert ship.close(PATIENCE_S) == 0
    found = totals(ship)
    assert found["shipped"] + found["spool_unreadable"] == 60
    assert found["spool_unreadable"] >= 40
    assert set(store.records().values()) == {1}
    assert spool.file.with_suffix(".broken").exists()
