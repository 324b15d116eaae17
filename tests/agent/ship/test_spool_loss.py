"""Data that a spool's file loses after it was written is counted, and the rest is sent."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.ledger import Exchanges
from agent.ship.parcel import Parcel
from agent.ship.spool import Spool
from agent.ship.spool_config import SpoolConfig
from tests.agent.ship.spools import ALL, MIB, NOW, address, noise, numbers, packed, place_in, started
from tests.agent.ship.stores import PATIENCE_S, Store, serving, shipper

MANY = 60


def killed(spool: Spool, place: SpoolConfig) -> SpoolConfig:
    """A copy of the files as a killed process leaves them: closing would clean them up."""
    left = replace(place, file=place.file.parent.with_name("killed") / "spool.db")
    shutil.rmtree(left.file.parent, ignore_errors=True)
    shutil.copytree(place.file.parent, left.file.parent)
    spool.close()
    return left


def drained(spool: Spool) -> tuple[list[int], dict[str, int]]:
    """All remaining records, and the previous start's last ledger."""
    spool.end_blind_time(NOW)
    found: list[int] = []
    ledger: dict[str, int] = {}
    while (parcel := spool.take(*ALL)) is not None:
        found += numbers(parcel)
        if not parcel.records and parcel.address is not None:
            ledger = said(parcel)
        spool.settle(parcel, Exchanges.SHIPPED)
    return found, ledger


def said(parcel: Parcel) -> dict[str, int]:
    assert parcel.address is not None
    counts: dict[str, int] = msgpack.unpackb(parcel.address.head + b"")["ledger"]["exchanges"]
    return {bucket: count for bucket, count in counts.items() if count}


def overwritten(journal: Path) -> None:
    journal.write_bytes(b"\xa5" * journal.stat().st_size)


def without_its_head(journal: Path) -> None:
    raw = journal.read_bytes()
    journal.write_bytes(bytes(32) + raw[32:])


def emptied(journal: Path) -> None:
    journal.write_bytes(b"")


def from_the_middle_on(journal: Path) -> None:
    raw = bytearray(journal.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    journal.write_bytes(raw)


def shipped(left: SpoolConfig) -> Store:
    """A server that received what the next start of the agent ships of this spool."""
    store = Store([])
    with serving(store) as url:
        ship = shipper(url, place=left, epoch="epoch-2")
        ship.start()
        ship.capture_started(NOW)
        assert ship.close(PATIENCE_S) == 0
    return store


@pytest.fixture
def left(tmp_path: Path) -> SpoolConfig:
    """The spool of a killed start, with all records in the journal."""
    place = place_in(tmp_path)
    spool = started(place)
    for number in range(MANY):
        spool.put(packed(number), {"exchanges": {"parsed": number + 1}}, NOW)
    return killed(spool, place)


@pytest.mark.parametrize("spoil", [overwritten, without_its_head, emptied])
def test_of_a_spool_that_comes_up_empty_all_records_are_counted(
    left: SpoolConfig, spoil: Callable[[Path], None]
) -> None:
    spoil(left.file.with_name("spool.db-wal"))
    spool = started(left, "epoch-2")
    assert spool.lost == MANY
    assert drained(spool) == ([], {"parsed": MANY, "spool_unreadable": MANY})
    assert spool.damaged_copy == (None if spoil is emptied else left.file.with_name("spool.broken"))
    assert left.file.with_name("spool.broken-wal").exists() == (spoil is not emptied)


def test_what_is_left_of_a_journal_is_sent_and_the_rest_counted(left: SpoolConfig) -> None:
    from_the_middle_on(left.file.with_name("spool.db-wal"))
    spool = started(left, "epoch-2")
    records, ledger = drained(spool)
    assert records == list(range(MANY - spool.lost))
    assert 0 < spool.lost < MANY
    assert ledger == {"parsed": MANY, "spool_unreadable": spool.lost, "shipped": MANY - spool.lost}
    assert spool.damaged_copy == left.file.with_name("spool.broken-wal")


def test_a_file_that_was_removed_is_missed(left: SpoolConfig) -> None:
    for name in ("spool.db", "spool.db-wal"):
        left.file.with_name(name).unlink()
    spool = started(left, "epoch-2")
    assert (spool.lost, spool.damaged_copy) == (MANY, None)


def test_a_loss_is_stated_once(left: SpoolConfig) -> None:
    overwritten(left.file.with_name("spool.db-wal"))
    started(left, "epoch-2").close()
    spool = started(left, "epoch-3")
    assert spool.lost == 0
    assert drained(spool) == ([], {"parsed": MANY, "spool_unreadable": MANY})


@pytest.mark.parametrize("spoil", [None, b"", b"\0" * 8, b"nonsense" * 20])
def test_without_a_whole_receipt_nothing_is_known_to_be_lost(left: SpoolConfig, spoil: bytes | None) -> None:
    receipt = left.file.with_name("spool.receipt")
    receipt.unlink()
    if spoil is not None:
        receipt.write_bytes(spoil)
    spool = started(left, "epoch-2")
    assert (spool.lost, spool.uncounted, spool.damaged_copy) == (0, False, None)
    assert drained(spool)[0] == list(range(MANY))


@pytest.mark.parametrize("spoil", [overwritten, without_its_head, from_the_middle_on])
def test_without_a_receipt_a_damaged_journal_is_told_though_not_what_it_held(
    left: SpoolConfig, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    left.file.with_name("spool.receipt").unlink()
    spoil(left.file.with_name("spool.db-wal"))
    store = shipped(left)
    assert any("the number of lost records is unknown" in one.getMessage() for one in caplog.records)
    assert left.file.with_name("spool.broken-wal").exists()
    ledgers = [one for name, one in zip(store.epochs, store.ledgers, strict=True) if name == "epoch-2"]
    assert ledgers[-1]["stops"]["spool_damaged"] == 1


def test_without_a_receipt_a_journal_used_again_is_not_taken_for_damaged(tmp_path: Path) -> None:
    place = place_in(tmp_path)
    spool = started(place)
    for number in range(2000):
        spool.put([noise(2000, number)], {"exchanges": {"parsed": number + 1}}, NOW)
    left = killed(spool, place)
    left.file.with_name("spool.receipt").unlink()
    assert not started(left, "epoch-2").uncounted


def test_without_a_receipt_a_damaged_file_is_told_too(left: SpoolConfig) -> None:
    left.file.with_name("spool.receipt").unlink()
    left.file.with_name("spool.db-wal").unlink()
    left.file.write_bytes(b"garbage" * 1000)
    spool = started(left, "epoch-2")
    assert (spool.started_over, spool.uncounted, spool.lost) == (True, True, 0)


def test_an_agent_says_what_its_spool_has_lost(left: SpoolConfig, caplog: pytest.LogCaptureFixture) -> None:
    overwritten(left.file.with_name("spool.db-wal"))
    store = shipped(left)
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert any(f"has lost {MANY} records" in text for text in warnings)
    assert any("kept as spool.broken" in text for text in warnings)
    ledgers = dict(zip(store.epochs, store.ledgers, strict=True))
    assert ledgers["epoch-1"]["exchanges"] == {"parsed": MANY, "spool_unreadable": MANY}


STEPS = st.lists(
    st.one_of(st.integers(1, 6), st.sampled_from(["send", "half-sent"])), min_size=1, max_size=30
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, at=st.floats(0, 1), wrong=st.binary(min_size=1, max_size=64), cut=st.booleans())
def test_wherever_a_journal_is_damaged_each_record_comes_is_counted_or_was_settled(
    steps: list[int | str], at: float, wrong: bytes, cut: bool, tmp_path: Path
) -> None:
    place = place_in(tmp_path)
    shutil.rmtree(place.file.parent, ignore_errors=True)
    spool = started(place)
    put = shipped = written = seq = 0
    for step in steps:
        if isinstance(step, int):
            put += step
            totals = {"exchanges": {"parsed": put, "shipped": shipped}}
            spool.put(packed(*range(put - step, put)), totals, NOW)
            written = shipped
        elif (parcel := spool.take(5, MIB)) is not None:
            seq += 1
            spool.record_address(parcel, address(parcel, seq))
            written = shipped
            if step == "half-sent":
                break
            spool.settle(parcel, Exchanges.SHIPPED)
            shipped += parcel.records
    left = killed(spool, place)
    journal = left.file.with_name("spool.db-wal")
    raw = journal.read_bytes()
    where = int(at * len(raw))
    journal.write_bytes(raw[:where] + wrong + (b"" if cut else raw[where + len(wrong) :]))
    spool = started(left, "epoch-2")
    records, ledger = drained(spool)
    spool.close()
    assert len(records) == len(set(records))
    assert all(written <= number < put for number in records)
    assert len(records) + spool.lost == put - written
    assert ledger.get("spool_unreadable", 0) == spool.lost
    assert ledger.get("parsed", 0) == put == ledger.get("shipped", 0) + spool.lost
