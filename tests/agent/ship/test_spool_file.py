"""The spool's file: who may open it, and what happens if it is damaged."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.ledger import Exchanges
from agent.ship.parcel import Parcel
from agent.ship.spool import Spool
from agent.ship.spool_config import SpoolConfig
from agent.ship.spool_file import SpoolBroken, SpoolError
from tests.agent.ship.spools import (
    HOUR,
    LEDGER,
    MIB,
    NOW,
    address,
    noise,
    packed,
    place_in,
    settle_all,
    started,
)

SQLITE_HEADER = 100  # bytes that opening may change


@pytest.fixture
def place(tmp_path: Path) -> SpoolConfig:
    return place_in(tmp_path)


def test_only_its_owner_may_read_it(place: SpoolConfig) -> None:
    place.file.parent.mkdir(mode=0o755)
    place.file.touch(mode=0o644)
    spool = started(place)
    spool.put(packed(1), LEDGER, NOW)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.file.parent.iterdir()}
    assert modes == {"spool.db": 0o600, "spool.db-wal": 0o600, "spool.receipt": 0o600}
    spool.close()
    fresh = replace(place, file=place.file.parent / "new" / "folder" / "spool.db")
    started(fresh).close()
    assert stat.S_IMODE(fresh.file.parent.stat().st_mode) == 0o700


def test_one_agent_uses_it_at_a_time(place: SpoolConfig) -> None:
    spool = started(place)
    with pytest.raises(SpoolError, match="another agent") as refused:
        started(place, "epoch-2")
    assert not isinstance(refused.value, SpoolBroken)
    spool.put(packed(1), LEDGER, NOW)
    spool.close()
    assert settle_all(started(place, "epoch-2")) == [1]


def test_a_folder_that_cannot_be_is_said(place: SpoolConfig) -> None:
    place.file.parent.touch()
    with pytest.raises(SpoolError, match=r"exists|directory"):
        started(place)


def test_a_link_is_not_followed(place: SpoolConfig, tmp_path: Path) -> None:
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
    Spool(SpoolConfig(file, MIB, HOUR), "agent-1", "epoch-0", NOW).close()
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()


def without_a_table(file: Path) -> None:
    Spool(SpoolConfig(file, MIB, HOUR), "agent-1", "epoch-0", NOW).close()
    with sqlite3.connect(file) as db:
        db.execute("DROP TABLE sent")
    db.close()


def with_a_name_that_is_no_text(file: Path) -> None:
    Spool(SpoolConfig(file, MIB, HOUR), "agent-1", "epoch-0", NOW).close()
    raw = file.read_bytes()
    assert b"CREATE TABLE sent" in raw
    file.write_bytes(raw.replace(b"CREATE TABLE sent", b"CREATE TABLE s\xfft"))


def with_a_ledger_that_is_none(file: Path) -> None:
    spool = Spool(SpoolConfig(file, MIB, HOUR), "agent-1", "epoch-0", NOW)
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
def test_a_file_that_is_no_spool_is_moved_aside(place: SpoolConfig, spoil: Callable[[Path], object]) -> None:
    place.file.parent.mkdir()
    spoil(place.file)
    before = place.file.read_bytes()
    spool = started(place)
    assert spool.damaged_copy == place.file.with_name("spool.broken")
    assert spool.damaged_copy.read_bytes()[SQLITE_HEADER:] == before[SQLITE_HEADER:]
    spool.put(packed(1), LEDGER, NOW)
    assert settle_all(spool) == [1]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spool's file of several pages, by path: Hypothesis cannot report an argument of its size."""
    place = SpoolConfig(tmp_path_factory.mktemp("full") / "spool.db", MIB, HOUR, "http://a:8080")
    spool = started(place)
    for number in range(30):
        spool.put([noise(1500, number)], LEDGER, NOW)
    parcel = spool.take(5, MIB)
    assert parcel is not None
    spool.record_address(parcel, address(parcel, 1))
    spool.close()
    return place.file


MOST_BYTES = 100_000  # slightly more than the file's size


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.one_of(st.integers(0, 200), st.integers(0, MOST_BYTES)),
    wrong=st.binary(min_size=1, max_size=64),
    cut=st.one_of(st.none(), st.integers(0, MOST_BYTES)),
)
def test_any_damage_is_a_spool_error_or_fewer_records_and_never_another_exception(
    full: Path, tmp_path: Path, at: int, wrong: bytes, cut: int | None
) -> None:
    file = tmp_path / "spool.db"
    for old in tmp_path.iterdir():
        old.unlink(missing_ok=True)
    raw = full.read_bytes()
    at %= len(raw)
    file.write_bytes((raw[:at] + wrong + raw[at + len(wrong) :])[:cut])
    use(SpoolConfig(file, MIB, HOUR, "http://a:8080"))


COLUMNS = (
    *(f"epochs.{name}" for name in ("epoch", "agent", "next_seq", "ledger", "at", "ended")),
    *(f"parcels.{name}" for name in ("number", "epoch", "version", "records", "size", "at", "frame")),
    *(f"sent.{name}" for name in ("agent", "epoch", "seq", "head", "first", "beyond")),
    *("destination.server", "revision.number"),
)
VALUES = (None, "x", "5", b"\xff", -1, 0, 1, 2.5, -(2**63), 2**63 - 1)
LEDGERS = (
    "{}",
    "[]",
    '{"exchanges": 5}',
    '{"exchanges": {"parsed": null}}',
    '{"exchanges": {"parsed": 1e400}}',
)


@pytest.mark.parametrize("column", COLUMNS)
def test_any_value_in_a_row_is_a_spool_error_or_fewer_records_and_never_another_exception(
    full: Path, tmp_path: Path, column: str
) -> None:
    for value in (*VALUES, *LEDGERS):
        (tmp_path / "one").mkdir()
        file = tmp_path / "one" / "spool.db"
        file.write_bytes(full.read_bytes())
        set_all(file, column, value)
        use(SpoolConfig(file, MIB, HOUR, "http://a:8080"))
        shutil.rmtree(tmp_path / "one")


def set_all(file: Path, column: str, value: object) -> None:
    """Sets a column of all rows to a value, as damage may, whatever the column's type."""
    table, name = column.split(".")
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = replace(replace(sql, ' STRICT', ''), ' NOT NULL', '')")
    with closing(sqlite3.connect(file)) as db, db, suppress(sqlite3.IntegrityError):  # a rowid is an integer
        db.execute(f"UPDATE OR IGNORE {table} SET {name} = ?", (value,))


def use(place: SpoolConfig) -> None:
    """A start of the agent with the existing spool."""
    try:
        spool = started(place, "epoch-2")
    except SpoolError:
        return
    try:
        spool.end_blind_time(NOW)
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
