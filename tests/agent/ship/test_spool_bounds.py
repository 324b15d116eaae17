"""The spool's bounds: records beyond the size or age are dropped and counted, and no others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest

from agent.ledger import Exchanges
from agent.ship.parcel import halves_of, records_of
from agent.ship.spool_config import SpoolConfig
from tests.agent.ship.spools import (
    ALL,
    HOUR,
    LEDGER,
    MIB,
    NOW,
    noise,
    numbers,
    packed,
    place_in,
    settle_all,
    started,
)

SECOND = 1_000_000_000


@pytest.fixture
def place(tmp_path: Path) -> SpoolConfig:
    return place_in(tmp_path)


def test_beyond_its_bytes_the_oldest_are_dropped_counted_and_the_file_stays_within(
    place: SpoolConfig,
) -> None:
    place = replace(place, most_bytes=2 * MIB)
    spool = started(place)
    dropped: Counter[str] = Counter()
    for number in range(200):
        dropped += spool.put([noise(20_000, 2 * number), noise(20_000, 2 * number + 1)], LEDGER, NOW)
        assert place.file.stat().st_size <= 2 * MIB
    assert place.file.with_name("spool.db-wal").stat().st_size <= 5 * MIB
    assert dropped == {"spool_full": 400 - spool.records}
    assert 90 <= spool.records <= 110
    first = spool.take(1, 1)
    assert first is not None
    assert records_of(first)[0] == noise(20_000, dropped.total())


def test_small_records_are_bounded_by_what_they_take_on_disk(place: SpoolConfig) -> None:
    place = replace(place, most_bytes=MIB)
    spool = started(place)
    dropped: Counter[str] = Counter()
    for number in range(6000):
        dropped += spool.put([noise(300, number)], LEDGER, NOW)
    assert place.file.stat().st_size <= MIB
    assert dropped.total() + spool.records == 6000
    assert 1500 < spool.records < 5000


@pytest.mark.parametrize("size", [MIB // 2, MIB, 3 * MIB])
def test_room_is_made_before_a_write_so_that_the_file_never_exceeds_its_bytes(
    place: SpoolConfig, size: int
) -> None:
    place = replace(place, most_bytes=4 * MIB)
    spool = started(place)
    dropped: Counter[str] = Counter()
    for number in range(12):
        dropped += spool.put([noise(size, number)], LEDGER, NOW)
        assert place.file.stat().st_size <= 4 * MIB
    assert dropped == {"spool_full": 12 - spool.records}
    assert spool.records == {MIB // 2: 7, MIB: 3, 3 * MIB: 1}[size]


def test_records_that_cannot_fit_are_dropped_themselves_and_no_others_for_them(place: SpoolConfig) -> None:
    spool = started(replace(place, most_bytes=MIB))
    spool.put(packed(1), LEDGER, NOW)
    assert spool.put([noise(2 * MIB, 0), b"\0"], LEDGER, NOW) == {"spool_full": 2}
    spool.put(packed(2), LEDGER, NOW)
    assert settle_all(spool) == [1, 2]


def test_what_is_older_than_allowed_is_dropped_and_counted_as_that(place: SpoolConfig) -> None:
    spool = started(replace(place, most_age_s=HOUR))
    spool.put(packed(1, 2), LEDGER, NOW)
    spool.put(packed(3), LEDGER, NOW + 1800 * 1_000_000_000)
    assert spool.put(packed(4), LEDGER, NOW + 3601 * 1_000_000_000) == {"spool_expired": 2}
    assert settle_all(spool) == [3, 4]


def test_what_an_earlier_start_kept_is_dropped_on_its_own_account(place: SpoolConfig) -> None:
    spool = started(place)
    spool.put(packed(1, 2), LEDGER, NOW)
    spool.end(LEDGER, NOW, ledger_sent=False)
    spool.close()
    spool = started(replace(place, most_age_s=HOUR), "epoch-2", NOW)
    assert spool.put([], LEDGER, NOW + 2 * 3600 * 1_000_000_000) == {}
    farewell = spool.take(*ALL)
    assert farewell is not None
    assert farewell.address is not None
    assert msgpack.unpackb(farewell.address.head)["ledger"]["exchanges"] == {"parsed": 7, "spool_expired": 2}


def test_what_is_being_sent_is_never_dropped(place: SpoolConfig) -> None:
    spool = started(replace(place, most_bytes=MIB))
    spool.put([noise(400_000, 0)], LEDGER, NOW)
    parcel = spool.take(1, 1)
    assert parcel is not None
    dropped: Counter[str] = Counter()
    for number in range(1, 9):
        dropped += spool.put([noise(400_000, number)], LEDGER, NOW + 10**9 * 25 * HOUR * number)
    assert dropped == {"spool_expired": 7}
    spool.settle(parcel, Exchanges.SHIPPED)
    assert spool.records == 1


def test_the_disk_is_given_back_once_all_is_sent(place: SpoolConfig) -> None:
    spool = started(place)
    for number in range(20):
        spool.put([noise(MIB // 2, number)], LEDGER, NOW)
    spool.put([], LEDGER, NOW)
    full = spool.size
    settle_all(spool)
    spool.put([], LEDGER, NOW)
    spool.close()
    assert full > 10 * MIB
    assert place.file.stat().st_size < MIB


def test_a_hole_that_age_has_made_between_records_is_not_sent_over(place: SpoolConfig) -> None:
    """Halves that were being sent when the agent was killed precede records of their time that have
    expired.
    """
    aged = replace(place, most_age_s=60)
    spool = started(aged)
    spool.put(packed(*range(8)), LEDGER, NOW)
    whole = spool.take(*ALL)
    assert whole is not None
    halves = halves_of(whole)
    spool.split(whole, halves)
    spool.put(packed(8), LEDGER, NOW + 30 * SECOND)
    spool.close()
    spool = started(aged, "epoch-2", NOW + 30 * SECOND)
    assert numbers(spool.take(4, 1000)) == [0, 1, 2, 3]
    spool.put(packed(9), LEDGER, NOW + 61 * SECOND)  # the second half has expired, the first is being sent
    spool.close()
    spool = started(aged, "epoch-3", NOW + 61 * SECOND)
    first = spool.take(*ALL)
    assert first is not None
    halves = halves_of(first)
    spool.split(first, halves)
    for half in halves:
        spool.settle(half, Exchanges.SHIPPED)
    assert numbers(first) == [0, 1, 2, 3]
    assert settle_all(spool) == [8, 9]
