"""The spool: what it returns after any kind of end, under which address, and each start's final ledger."""

from __future__ import annotations

from pathlib import Path

import msgpack
import pytest

from agent.ledger import Exchanges
from agent.ship import epochs
from agent.ship import spool as spool_module
from agent.ship import spool_tables as tables
from agent.ship.parcel import body, halves_of
from agent.ship.spool_config import SpoolConfig
from tests.agent.ship.spools import (
    ALL,
    LEDGER,
    MIB,
    NOW,
    address,
    numbers,
    packed,
    place_in,
    settle_all,
    started,
)


@pytest.fixture
def place(tmp_path: Path) -> SpoolConfig:
    return place_in(tmp_path)


def test_what_was_put_is_taken_oldest_first_in_batches_within_both_bounds(place: SpoolConfig) -> None:
    spool = started(place)
    for first in range(0, 40, 4):
        spool.put(packed(*range(first, first + 4)), LEDGER, NOW)
    for most_records, most_bytes, expected in (
        (10, 1000, range(8)),
        (1000, 5, range(8, 12)),
        (1, 1, range(12, 16)),
    ):
        parcel = spool.take(most_records, most_bytes)
        assert numbers(parcel) == list(expected)
        assert parcel is not None
        spool.settle(parcel, Exchanges.SHIPPED)
    assert settle_all(spool) == list(range(16, 40))
    assert (spool.records, spool.waiting, spool.has_more) == (0, 0, False)


def test_a_batch_that_was_out_at_the_end_comes_back_with_the_same_address_and_bytes(
    place: SpoolConfig,
) -> None:
    spool = started(place)
    for number in range(20):
        spool.put(packed(number), LEDGER, NOW)
    parcel = spool.take(12, MIB)
    assert parcel is not None
    sent = address(parcel, 5)
    spool.record_address(parcel, sent)
    before = body(parcel, sent, coded=True)
    spool.close()
    spool = started(place, "epoch-2")
    again = spool.take(*ALL)
    assert again is not None
    assert again.address == sent
    assert body(again, sent, coded=True) == before
    spool.settle(again, Exchanges.SHIPPED)
    assert settle_all(spool) == list(range(12, 20))


def test_what_was_settled_before_the_last_write_never_comes_back(place: SpoolConfig) -> None:
    spool = started(place)
    spool.put(packed(1, 2), LEDGER, NOW)
    parcel = spool.take(*ALL)
    assert parcel is not None
    spool.record_address(parcel, address(parcel, 1))
    spool.settle(parcel, Exchanges.SHIPPED)
    spool.put(packed(3), LEDGER, NOW)
    spool.close()
    assert settle_all(started(place, "epoch-2")) == [3]


def test_what_was_settled_after_the_last_write_comes_back_under_its_address(place: SpoolConfig) -> None:
    spool = started(place)
    spool.put(packed(1, 2), LEDGER, NOW)
    parcel = spool.take(*ALL)
    assert parcel is not None
    spool.record_address(parcel, address(parcel, 1))
    spool.settle(parcel, Exchanges.SHIPPED)
    spool.close()
    again = started(place, "epoch-2").take(*ALL)
    assert again is not None
    assert again.address == address(parcel, 1)


def test_halves_of_a_refused_batch_are_not_put_together_again_while_in_hand(place: SpoolConfig) -> None:
    spool = started(place)
    spool.put(packed(*range(5)), LEDGER, NOW)
    spool.put(packed(5, 6), LEDGER, NOW)
    parcel = spool.take(*ALL)
    assert parcel is not None
    first, second = halves_of(parcel)
    spool.split(parcel, (first, second))
    assert (numbers(first), numbers(second)) == ([0, 1, 2], [3, 4, 5, 6])
    spool.record_address(first, address(first, 2))
    spool.settle(first, Exchanges.SHIPPED)
    spool.record_address(second, address(second, 3))
    spool.close()
    again = started(place, "epoch-2").take(*ALL)
    assert numbers(again) == [3, 4, 5, 6]
    assert again is not None
    assert again.address == address(second, 3)


def test_where_halves_cannot_be_written_the_whole_stays_until_both_are_settled(place: SpoolConfig) -> None:
    spool = started(place)
    spool.put(packed(0, 1, 2, 3), LEDGER, NOW)
    parcel = spool.take(*ALL)
    assert parcel is not None
    halves = halves_of(parcel)
    spool._disk.execute("PRAGMA query_only = on")
    spool.split(parcel, halves)
    spool._disk.execute("PRAGMA query_only = off")
    quarters = halves_of(halves[0])
    spool.split(halves[0], quarters)
    spool.settle(quarters[0], Exchanges.SHIPPED)
    spool.settle(quarters[1], Exchanges.SHIPPED)
    spool.put([], LEDGER, NOW)
    spool.close()
    assert settle_all(started(place, "epoch-2")) == [0, 1, 2, 3]


def test_the_oldest_record_is_the_first_that_is_not_settled_of_any_start(place: SpoolConfig) -> None:
    spool = started(place)
    assert spool.oldest_at is None
    spool.put(packed(0, 1), LEDGER, NOW)
    spool.close()
    spool = started(place, "epoch-2", NOW + 5)
    spool.put(packed(2), LEDGER, NOW + 7)
    assert spool.oldest_at == NOW
    parcel = spool.take(*ALL)
    assert parcel is not None
    assert spool.oldest_at == NOW
    spool.settle(parcel, Exchanges.SHIPPED)
    assert spool.oldest_at == NOW + 7
    assert settle_all(spool) == [2]


def test_an_earlier_start_is_given_its_last_word_once_all_its_records_are_accounted_for(
    place: SpoolConfig,
) -> None:
    spool = started(place)
    spool.put(packed(*range(7)), LEDGER, NOW)
    spool.end({**LEDGER, "exchanges": {"parsed": 9, "queue_full": 2}}, NOW, ledger_sent=False)
    spool.close()
    spool = started(place, "epoch-2")
    parcel = spool.take(4, MIB)
    assert parcel is not None
    assert (parcel.epoch, parcel.records, parcel.address) == ("epoch-1", 7, None)
    spool.record_address(parcel, address(parcel, 1, "epoch-2"))
    spool.settle(parcel, Exchanges.SHIPPED)
    farewell = spool.take(*ALL)
    assert farewell is not None
    assert farewell.address is not None
    said = msgpack.unpackb(body(farewell, farewell.address, coded=False))
    assert (said["agent"], said["epoch"], said["records"]) == ("agent-1", "epoch-1", [])
    assert said["ledger"]["exchanges"] == {"parsed": 9, "queue_full": 2, "shipped": 7}
    assert "stops" not in said["ledger"]
    assert said["capture"] == {"watching": "nothing", "lag_ms": None}
    spool.settle(farewell, Exchanges.SHIPPED)
    assert spool.take(*ALL) is None
    spool.put([], LEDGER, NOW)
    spool.close()
    assert not started(place, "epoch-3")._epochs.as_map().keys() & {"epoch-1"}


def test_of_a_start_that_was_killed_the_blind_time_is_stated_once(place: SpoolConfig) -> None:
    spool = started(place)
    spool.put([], LEDGER, NOW)
    spool.close()
    spool = started(place, "epoch-2", NOW + 1_000_000_000)
    spool.end({}, NOW + 2_000_000_000, ledger_sent=True)  # it never captured
    spool.close()
    spool = started(place, "epoch-3", NOW + 3_000_000_000)
    assert (spool.take(*ALL), spool.has_more) == (None, False)
    spool.end_blind_time(NOW + 5_000_000_000)
    farewell = spool.take(*ALL)
    assert farewell is not None
    assert farewell.address is not None
    ledger = msgpack.unpackb(farewell.address.head + b"")["ledger"]
    assert ledger == {**LEDGER, "stops": {"killed": 1, "blind_ms": 5000}}
    spool.put([], LEDGER, NOW)
    spool.close()
    again = started(place, "epoch-4", NOW + 9_000_000_000).take(*ALL)
    assert again is not None
    assert again.address == farewell.address


def lived(place: SpoolConfig, epoch: str, at: int, *, captures: bool, ends: bool) -> int:
    """A start that captures from `at` on for a second. Returns the blind time before it in ms."""
    spool = started(place, epoch, at)
    blind = spool.end_blind_time(at) if captures else 0
    ledger = {**LEDGER, "stops": {"blind_ms": blind}}
    spool.put([], ledger, at)
    if ends:
        spool.end(ledger, at + 1_000_000_000, ledger_sent=True)
    spool.close()
    return blind


def test_after_a_clean_end_the_next_start_that_captures_says_how_long_nobody_did(place: SpoolConfig) -> None:
    second = 1_000_000_000
    assert lived(place, "epoch-1", NOW, captures=True, ends=True) == 0
    assert lived(place, "epoch-2", NOW + 2 * second, captures=False, ends=True) == 0
    assert lived(place, "epoch-3", NOW + 6 * second, captures=True, ends=True) == 5000
    assert lived(place, "epoch-4", NOW + 8 * second, captures=True, ends=False) == 1000
    spool = started(place, "epoch-5", NOW + 20 * second)
    # epoch-4 was killed: its own ledger has the blind time.
    assert spool.end_blind_time(NOW + 20 * second) == 0
    farewell = spool.take(*ALL)
    assert farewell is not None
    assert farewell.address is not None
    assert msgpack.unpackb(farewell.address.head + b"")["ledger"]["stops"] == {"killed": 1, "blind_ms": 13000}


def test_time_that_a_killed_starts_ledger_counts_is_not_counted_again(place: SpoolConfig) -> None:
    lived(place, "epoch-1", NOW, captures=True, ends=True)
    spool = started(place, "epoch-2", NOW + 2_000_000_000)
    spool.put([], LEDGER, NOW + 2_000_000_000)
    spool.end_blind_time(NOW + 3_000_000_000)
    spool.close()  # killed before its next write
    assert started(place, "epoch-3", NOW).end_blind_time(NOW + 9_000_000_000) == 0


def test_a_clean_end_is_forgotten_once_its_successor_has_written(place: SpoolConfig) -> None:
    lived(place, "epoch-1", NOW, captures=True, ends=True)
    spool = started(place, "epoch-2", NOW)
    spool.end_blind_time(NOW + 2_000_000_000)
    spool.put([], LEDGER, NOW)
    spool.close()
    assert tables.stopped(started(place, "epoch-3", NOW)._disk.execute) is None


def test_a_start_that_said_all_leaves_nothing_to_be_said(place: SpoolConfig) -> None:
    spool = started(place)
    spool.put(packed(1), LEDGER, NOW)
    settle_all(spool)
    spool.end(LEDGER, NOW, ledger_sent=True)
    spool.close()
    assert started(place, "epoch-2").take(*ALL) is None


def test_of_a_thousand_crashes_and_more_the_latest_are_told(
    place: SpoolConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochs, "MOST_EPOCHS", 5)
    for number in range(20):
        spool = started(place, f"epoch-{number}", NOW + number)
        spool.put([], LEDGER, NOW + number)
        spool.close()
    assert len(started(place, "epoch-20")._epochs.as_map()) <= 6


def test_records_of_two_versions_never_share_a_batch(
    place: SpoolConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = started(place)
    for number in range(4):
        monkeypatch.setattr(spool_module, "VERSION", 1 + number // 2)
        spool.put(packed(number), LEDGER, NOW)
    found: list[tuple[int, list[int]]] = []
    while (parcel := spool.take(*ALL)) is not None:
        found.append((parcel.version, numbers(parcel)))
        spool.settle(parcel, Exchanges.SHIPPED)
    assert found == [(1, [0, 1]), (2, [2, 3])]
