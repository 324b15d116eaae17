"""The spool's file: what it gives back after any end, what it bounds, and what becomes of a damaged one."""

from __future__ import annotations

import random
import sqlite3
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.ledger import Exchanges
from agent.ship import spool as spool_module
from agent.ship.parcel import Address, Parcel, body, halves_of, records_of
from agent.ship.spool import Place, Spool, SpoolBroken, SpoolError
from agent.wire import VERSION, pack_head

MIB = 1024 * 1024
HOUR = 3600
SQLITE_HEADER = 100  # bytes, which opening it may change
NOW = 1_800_000_000_000_000_000
ALL = (1000, 100 * MIB)
LEDGER = {"bytes": {}, "exchanges": {"parsed": 7}, "kernel": {}}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "state" / "spool.db", 64 * MIB, 24 * HOUR)


def started(place: Place, epoch: str = "epoch-1", now: int = NOW) -> Spool:
    return Spool(place, "agent-1", epoch, now)


def packed(*numbers: int) -> list[bytes]:
    return [msgpack.packb(number) for number in numbers]


def numbers(parcel: Parcel | None) -> list[int]:
    return [] if parcel is None else [msgpack.unpackb(raw) for raw in records_of(parcel)]


def address(parcel: Parcel, seq: int, epoch: str = "epoch-1") -> Address:
    return Address("agent-1", epoch, seq, pack_head("agent-1", epoch, seq, {}, parcel.records, VERSION))


def settle_all(spool: Spool) -> list[int]:
    """All that is there, taken and settled; earlier starts' ledgers too."""
    found: list[int] = []
    while (parcel := spool.take(*ALL)) is not None:
        found += numbers(parcel)
        spool.settle(parcel, Exchanges.SHIPPED)
    return found


def test_what_was_put_is_taken_oldest_first_in_batches_within_both_bounds(place: Place) -> None:
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


def test_a_batch_that_was_out_at_the_end_comes_back_with_the_same_address_and_bytes(place: Place) -> None:
    spool = started(place)
    for number in range(20):
        spool.put(packed(number), LEDGER, NOW)
    parcel = spool.take(12, MIB)
    assert parcel is not None
    sent = address(parcel, 5)
    spool.note(parcel, sent)
    before = body(parcel, sent, coded=True)
    spool.close()
    spool = started(place, "epoch-2")
    again = spool.take(*ALL)
    assert again is not None
    assert again.address == sent
    assert body(again, sent, coded=True) == before
    spool.settle(again, Exchanges.SHIPPED)
    assert settle_all(spool) == list(range(12, 20))


def test_what_was_settled_before_the_last_write_never_comes_back(place: Place) -> None:
    spool = started(place)
    spool.put(packed(1, 2), LEDGER, NOW)
    parcel = spool.take(*ALL)
    assert parcel is not None
    spool.note(parcel, address(parcel, 1))
    spool.settle(parcel, Exchanges.SHIPPED)
    spool.put(packed(3), LEDGER, NOW)
    spool.close()
    assert settle_all(started(place, "epoch-2")) == [3]


def test_what_was_settled_after_the_last_write_comes_back_under_its_address(place: Place) -> None:
    spool = started(place)
    spool.put(packed(1, 2), LEDGER, NOW)
    parcel = spool.take(*ALL)
    assert parcel is not None
    spool.note(parcel, address(parcel, 1))
    spool.settle(parcel, Exchanges.SHIPPED)
    spool.close()
    again = started(place, "epoch-2").take(*ALL)
    assert again is not None
    assert again.address == address(parcel, 1)


def test_halves_of_a_refused_batch_are_not_put_together_again_while_in_hand(place: Place) -> None:
    spool = started(place)
    spool.put(packed(*range(5)), LEDGER, NOW)
    spool.put(packed(5, 6), LEDGER, NOW)
    parcel = spool.take(*ALL)
    assert parcel is not None
    first, second = halves_of(parcel)
    spool.split(parcel, (first, second))
    assert (numbers(first), numbers(second)) == ([0, 1, 2], [3, 4, 5, 6])
    spool.note(first, address(first, 2))
    spool.settle(first, Exchanges.SHIPPED)
    spool.note(second, address(second, 3))
    spool.close()
    again = started(place, "epoch-2").take(*ALL)
    assert numbers(again) == [3, 4, 5, 6]
    assert again is not None
    assert again.address == address(second, 3)


def test_where_halves_cannot_be_written_the_whole_stays_until_both_are_settled(place: Place) -> None:
    spool = started(place)
    spool.put(packed(0, 1, 2, 3), LEDGER, NOW)
    parcel = spool.take(*ALL)
    assert parcel is not None
    halves = halves_of(parcel)
    spool._db.execute("PRAGMA query_only = on")
    spool.split(parcel, halves)
    spool._db.execute("PRAGMA query_only = off")
    quarters = halves_of(halves[0])
    spool.split(halves[0], quarters)
    spool.settle(quarters[0], Exchanges.SHIPPED)
    spool.settle(quarters[1], Exchanges.SHIPPED)
    spool.put([], LEDGER, NOW)
    spool.close()
    assert settle_all(started(place, "epoch-2")) == [0, 1, 2, 3]


def test_an_earlier_start_is_given_its_last_word_once_all_its_records_are_accounted_for(place: Place) -> None:
    spool = started(place)
    spool.put(packed(*range(7)), LEDGER, NOW)
    spool.end({**LEDGER, "exchanges": {"parsed": 9, "queue_full": 2}}, NOW, told=False)
    spool.close()
    spool = started(place, "epoch-2")
    parcel = spool.take(4, MIB)
    assert parcel is not None
    assert (parcel.epoch, parcel.records, parcel.address) == ("epoch-1", 7, None)
    spool.note(parcel, address(parcel, 1, "epoch-2"))
    spool.settle(parcel, Exchanges.SHIPPED)
    farewell = spool.take(*ALL)
    assert farewell is not None
    assert farewell.address is not None
    said = msgpack.unpackb(body(farewell, farewell.address, coded=False))
    assert (said["agent"], said["epoch"], said["records"]) == ("agent-1", "epoch-1", [])
    assert said["ledger"]["exchanges"] == {"parsed": 9, "queue_full": 2, "shipped": 7}
    assert "stops" not in said["ledger"]
    spool.settle(farewell, Exchanges.SHIPPED)
    assert spool.take(*ALL) is None
    spool.put([], LEDGER, NOW)
    spool.close()
    assert not started(place, "epoch-3")._epochs.keys() & {"epoch-1"}


def test_of_a_start_that_was_killed_the_blind_time_is_stated_once(place: Place) -> None:
    spool = started(place)
    spool.put([], LEDGER, NOW)
    spool.close()
    started(place, "epoch-2", NOW + 4_000_000_000).close()
    spool = started(place, "epoch-3", NOW + 5_000_000_000)
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


def test_a_start_that_said_all_leaves_nothing_to_be_said(place: Place) -> None:
    spool = started(place)
    spool.put(packed(1), LEDGER, NOW)
    settle_all(spool)
    spool.end(LEDGER, NOW, told=True)
    spool.close()
    assert started(place, "epoch-2").take(*ALL) is None


def test_of_a_thousand_crashes_and_more_the_latest_are_told(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "MOST_EPOCHS", 5)
    for number in range(20):
        spool = started(place, f"epoch-{number}", NOW + number)
        spool.put([], LEDGER, NOW + number)
        spool.close()
    assert len(started(place, "epoch-20")._epochs) <= 6


def noise(size: int, seed: int) -> bytes:
    raw: bytes = msgpack.packb(random.Random(seed).randbytes(size))
    return raw


def test_beyond_its_bytes_the_oldest_are_dropped_counted_and_the_file_stays_within(place: Place) -> None:
    place = replace(place, most_bytes=2 * MIB)
    spool = started(place)
    dropped: Counter[str] = Counter()
    for number in range(200):
        dropped += spool.put([noise(20_000, 2 * number), noise(20_000, 2 * number + 1)], LEDGER, NOW)
        assert place.file.stat().st_size <= 2.1 * MIB
    assert place.file.with_name("spool.db-wal").stat().st_size <= 5 * MIB
    assert dropped == {"spool_full": 400 - spool.records}
    assert 90 <= spool.records <= 110
    first = spool.take(1, 1)
    assert first is not None
    assert records_of(first)[0] == noise(20_000, dropped.total())


def test_small_records_are_bounded_by_what_they_take_on_disk(place: Place) -> None:
    place = replace(place, most_bytes=MIB)
    spool = started(place)
    dropped: Counter[str] = Counter()
    for number in range(6000):
        dropped += spool.put([noise(300, number)], LEDGER, NOW)
    assert place.file.stat().st_size <= 1.1 * MIB
    assert dropped.total() + spool.records == 6000
    assert 1500 < spool.records < 5000


def test_what_is_older_than_allowed_is_dropped_and_counted_as_that(place: Place) -> None:
    spool = started(replace(place, most_age_s=HOUR))
    spool.put(packed(1, 2), LEDGER, NOW)
    spool.put(packed(3), LEDGER, NOW + 1800 * 1_000_000_000)
    assert spool.put(packed(4), LEDGER, NOW + 3601 * 1_000_000_000) == {"spool_expired": 2}
    assert settle_all(spool) == [3, 4]


def test_what_an_earlier_start_kept_is_dropped_on_its_own_account(place: Place) -> None:
    spool = started(place)
    spool.put(packed(1, 2), LEDGER, NOW)
    spool.end(LEDGER, NOW, told=False)
    spool.close()
    spool = started(replace(place, most_age_s=HOUR), "epoch-2", NOW)
    assert spool.put([], LEDGER, NOW + 2 * 3600 * 1_000_000_000) == {}
    farewell = spool.take(*ALL)
    assert farewell is not None
    assert farewell.address is not None
    assert msgpack.unpackb(farewell.address.head)["ledger"]["exchanges"] == {"parsed": 7, "spool_expired": 2}


def test_what_is_being_sent_is_never_dropped(place: Place) -> None:
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


def test_records_of_two_versions_never_share_a_batch(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = started(place)
    for number in range(4):
        monkeypatch.setattr(spool_module, "VERSION", 1 + number // 2)
        spool.put(packed(number), LEDGER, NOW)
    found: list[tuple[int, list[int]]] = []
    while (parcel := spool.take(*ALL)) is not None:
        found.append((parcel.version, numbers(parcel)))
        spool.settle(parcel, Exchanges.SHIPPED)
    assert found == [(1, [0, 1]), (2, [2, 3])]


def test_the_disk_is_given_back_once_all_is_sent(place: Place) -> None:
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


def test_only_its_owner_may_read_it(place: Place) -> None:
    place.file.parent.mkdir(mode=0o755)
    place.file.touch(mode=0o644)
    spool = started(place)
    spool.put(packed(1), LEDGER, NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.file.parent.iterdir()}
    assert modes == {"spool.db": 0o600, "spool.db-wal": 0o600}
    spool.close()
    fresh = replace(place, file=place.file.parent / "new" / "folder" / "spool.db")
    started(fresh).close()
    assert stat.S_IMODE(fresh.file.parent.stat().st_mode) == 0o700


def test_one_agent_uses_it_at_a_time(place: Place) -> None:
    spool = started(place)
    with pytest.raises(SpoolError, match="another agent") as refused:
        started(place, "epoch-2")
    assert not isinstance(refused.value, SpoolBroken)
    spool.put(packed(1), LEDGER, NOW)
    spool.close()
    assert settle_all(started(place, "epoch-2")) == [1]


def test_a_folder_that_cannot_be_is_said(place: Place) -> None:
    place.file.parent.touch()
    with pytest.raises(SpoolError, match=r"exists|directory"):
        started(place)


def test_a_link_is_not_followed(place: Place, tmp_path: Path) -> None:
    place.file.parent.mkdir()
    place.file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpoolError):
        started(place)
    assert not (tmp_path / "elsewhere").exists()


def garbage(file: Path) -> None:
    file.write_bytes(b"garbage" * 1000)


def half_a_header(file: Path) -> None:
    file.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)


def foreign(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE epochs (what TEXT)")
    db.close()


def of_the_future(file: Path) -> None:
    Spool(Place(file, MIB, HOUR), "agent-1", "epoch-0", NOW).close()
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def without_a_table(file: Path) -> None:
    Spool(Place(file, MIB, HOUR), "agent-1", "epoch-0", NOW).close()
    with sqlite3.connect(file) as db:
        db.execute("DROP TABLE sent")
    db.close()


def with_a_name_that_is_no_text(file: Path) -> None:
    Spool(Place(file, MIB, HOUR), "agent-1", "epoch-0", NOW).close()
    raw = file.read_bytes()
    assert b"CREATE TABLE sent" in raw
    file.write_bytes(raw.replace(b"CREATE TABLE sent", b"CREATE TABLE s\xfft"))


def with_a_ledger_that_is_none(file: Path) -> None:
    spool = Spool(Place(file, MIB, HOUR), "agent-1", "epoch-0", NOW)
    spool.put(packed(1), LEDGER, NOW)
    spool.close()
    with sqlite3.connect(file) as db:
        db.execute("UPDATE epochs SET ledger = '[1'")
    db.close()


@pytest.mark.parametrize(
    "spoil",
    [
        garbage,
        half_a_header,
        foreign,
        of_the_future,
        without_a_table,
        with_a_ledger_that_is_none,
        with_a_name_that_is_no_text,
    ],
)
def test_a_file_that_is_no_spool_is_moved_aside(place: Place, spoil: Callable[[Path], object]) -> None:
    place.file.parent.mkdir()
    spoil(place.file)
    before = place.file.read_bytes()
    spool = started(place)
    assert spool.set_aside == place.file.with_name("spool.broken")
    assert spool.set_aside.read_bytes()[SQLITE_HEADER:] == before[SQLITE_HEADER:]
    spool.put(packed(1), LEDGER, NOW)
    assert settle_all(spool) == [1]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A spool's file, of some pages."""
    place = Place(tmp_path_factory.mktemp("full") / "spool.db", MIB, HOUR)
    spool = started(place)
    for number in range(30):
        spool.put([noise(1500, number)], LEDGER, NOW)
    parcel = spool.take(5, MIB)
    assert parcel is not None
    spool.note(parcel, address(parcel, 1))
    spool.close()
    return place.file.read_bytes()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_is_a_spool_error_or_fewer_records_and_never_another_exception(
    full: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    file = tmp_path / "spool.db"
    for old in tmp_path.iterdir():
        old.unlink(missing_ok=True)
    at = data.draw(st.one_of(st.integers(0, 200), st.integers(0, len(full) - 1)))
    wrong = data.draw(st.binary(min_size=1, max_size=64))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(full))))
    file.write_bytes((full[:at] + wrong + full[at + len(wrong) :])[:cut])
    try:
        spool = started(Place(file, MIB, HOUR), "epoch-2")
    except SpoolError:
        return
    try:
        for parcel in parcels(spool):
            spool.settle(parcel, Exchanges.SHIPPED)
        spool.put(packed(1), LEDGER, NOW)
    except SpoolError:
        pass
    finally:
        spool.close()


def parcels(spool: Spool) -> Iterator[Parcel]:
    for _ in range(100):
        parcel = spool.take(5, MIB)
        if parcel is None:
            return
        yield parcel
    raise AssertionError("there is no end of parcels")
