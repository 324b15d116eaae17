"""If any page of the schema is damaged, the tables are still found, and all rows are salvaged."""

from __future__ import annotations

import gzip
import random
import shutil
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from server.store.errors import StoreUnavailable
from server.store.sqlite import renumbering
from server.store.sqlite.connection import FILE, LOCK, PAGE_BYTES, opened
from server.store.sqlite.salvage import NAMES, salvage
from server.store.sqlite.schema import migrate
from server.store.sqlite.schema_copy import NO_STAMP, SUFFIX, SchemaCopy, keep_schema, stamp, stamp_of
from server.store.sqlite.store import SqliteStore
from tests.server.records import both
from tests.server.running import serving

OLD = gzip.decompress((Path(__file__).parents[4] / "data/databases/77cd586.db.gz").read_bytes())
COPY = Path(FILE).with_suffix(SUFFIX).name
INNER, LEAF = 5, 13  # kinds of pages (sqlite.org/fileformat.html, 1.6)
Rows = dict[str, list[tuple[object, ...]]]


def rows(data: Path) -> Rows:
    with closing(sqlite3.connect(data / FILE)) as db:
        return {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in NAMES}


def schema_pages(raw: bytes) -> list[int]:
    """The first page and the pages it points to."""
    kind, count, last = raw[100], int.from_bytes(raw[103:105], "big"), raw[108:112]
    assert kind == INNER, "the schema is on several pages"
    starts = [int.from_bytes(raw[at : at + 2], "big") for at in range(112, 112 + 2 * count, 2)]
    pages = [int.from_bytes(one, "big") for one in (*(raw[at : at + 4] for at in starts), last)]
    assert all(raw[(page - 1) * PAGE_BYTES] == LEAF for page in pages)
    return [1, *pages]


def spill(data: Path) -> None:
    """Adds tables, as later migrations may, until the schema takes several pages."""
    with closing(sqlite3.connect(data / FILE)) as db:
        for number in range(60):
            db.execute(
                f"CREATE TABLE later_{number} ({', '.join(f'column_{one} TEXT' for one in range(40))})"
            )
        keep_schema(db, data / FILE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("whole")
    with serving(data) as client:
        client.send(*both(0), *both(1, "/carts"))
    spill(data)
    return data


@pytest.fixture
def data(tmp_path: Path, whole: Path) -> Iterator[Path]:
    for name in (FILE, COPY):
        shutil.copy(whole / name, tmp_path)
    yield tmp_path
    assert {path.name for path in tmp_path.iterdir()} <= {FILE, COPY, LOCK} | {
        path.name for path in tmp_path.glob("*.damaged-*")
    }


def overwrite(path: Path, page: int, how: str) -> None:
    raw, at = bytearray(path.read_bytes()), (page - 1) * PAGE_BYTES
    match how:
        case "zero":
            raw[at : at + PAGE_BYTES] = bytes(PAGE_BYTES)
        case "half":
            raw[at + PAGE_BYTES // 2 : at + PAGE_BYTES] = bytes(PAGE_BYTES // 2)
        case _:
            raw[at : at + PAGE_BYTES] = random.Random(page).randbytes(PAGE_BYTES)
    path.write_bytes(raw)


@pytest.mark.parametrize("how", ["zero", "random", "half"])
def test_no_row_is_lost_with_any_page_of_the_schema(whole: Path, data: Path, how: str) -> None:
    before, raw = rows(whole), (whole / FILE).read_bytes()
    pages = schema_pages(raw)
    assert len(pages) > 3
    for page in pages:
        (data / FILE).write_bytes(raw)
        shutil.copy(whole / COPY, data)
        overwrite(data / FILE, page, how)
        found = salvage(data)
        assert found is not None, page
        assert {one.table: one.lost for one in found[1] if one.lost} == {}, page
        assert rows(data) == before, page
        found[0].unlink()
    with serving(data) as client:
        assert client.operations().keys() == {"GET /users/{id}", "GET /carts"}


def test_what_only_the_log_holds_is_there_again(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The database of a server that was killed: its log also has the newest first page."""
    killed = tmp_path_factory.mktemp("killed")
    with serving(data) as client:
        client.seq = 1
        client.send(*both(2))
        for name in (FILE, f"{FILE}-wal", COPY):
            shutil.copy(data / name, killed)
    with closing(sqlite3.connect(data / FILE)) as db:
        stored = db.execute("SELECT * FROM witnesses").fetchall()
    overwrite(killed / FILE, schema_pages((killed / FILE).read_bytes())[1], "zero")
    found = salvage(killed)
    assert found is not None
    assert {one.table: one.lost for one in found[1] if one.lost} == {}
    assert len(stored) == 6
    assert rows(killed)["witnesses"] == stored


def test_a_copy_of_another_database_or_of_an_earlier_schema_is_not_used(whole: Path, data: Path) -> None:
    with closing(sqlite3.connect(data / FILE)) as db:
        stamp(db)
    overwrite(data / FILE, schema_pages((whole / FILE).read_bytes())[1], "zero")
    with pytest.raises(StoreUnavailable, match="nothing can be salvaged"):
        salvage(data)


def test_while_the_schema_changes_no_copy_is_that_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FILE).write_bytes(OLD)
    with closing(opened(tmp_path / FILE)) as db:
        keep_schema(db, tmp_path / FILE)
        monkeypatch.setattr(renumbering, "EXCHANGES_INDEX", "no SQL")
        with pytest.raises(sqlite3.OperationalError):
            migrate(db)
        copy = SchemaCopy.read(tmp_path / FILE)
        assert copy is not None
        assert stamp_of(db) == NO_STAMP != copy.stamp
    monkeypatch.undo()
    SqliteStore(tmp_path).close()
    again = SchemaCopy.read(tmp_path / FILE)
    assert again is not None
    assert again.stamp not in (copy.stamp, NO_STAMP)


def test_a_copy_beside_a_database_that_is_whole_changes_nothing(whole: Path, data: Path) -> None:
    with closing(sqlite3.connect(data / FILE)) as db:
        db.execute("CREATE TABLE more (number INTEGER)")
    raw = (data / FILE).read_bytes()
    assert salvage(data) is None
    assert (data / FILE).read_bytes() == raw


@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_a_copy_that_is_damaged_is_not_used(data: Path, harm: str) -> None:
    copy = data / COPY
    match harm:
        case "cut":
            copy.write_bytes(copy.read_bytes()[:-100])
        case "changed":
            copy.write_bytes(copy.read_bytes().replace(b"7", b"6"))
        case _:
            copy.unlink()
    overwrite(data / FILE, 1, "zero")
    with pytest.raises(StoreUnavailable, match="nothing can be salvaged"):
        salvage(data)


@pytest.mark.parametrize(
    "told", ["5", "{}", "[1, 4096, [2]]", '[1, "x", []]', "[1, 0, []]", "[1, 131072, []]"]
)
def test_a_copy_of_another_format_is_not_used(data: Path, told: str) -> None:
    (data / COPY).write_text(f"{zlib.crc32(told.encode()):08x} {told}")
    assert salvage(data) is None
    overwrite(data / FILE, 1, "zero")
    with pytest.raises(StoreUnavailable, match="there is no copy"):
        salvage(data)


def test_where_no_table_can_be_read_it_says_so_and_changes_nothing(data: Path) -> None:
    raw = b"x" * (data / FILE).stat().st_size
    (data / FILE).write_bytes(raw)
    with pytest.raises(StoreUnavailable, match="nothing can be salvaged"):
        salvage(data)
    assert (data / FILE).read_bytes() == raw


def test_a_salvaged_database_has_a_copy_of_its_own_once_it_is_served(data: Path) -> None:
    overwrite(data / FILE, 1, "zero")
    assert salvage(data) is not None
    assert not (data / COPY).exists()
    with serving(data):
        pass
    overwrite(data / FILE, 1, "random")
    found = salvage(data)
    assert found is not None
    assert {one.table: one.lost for one in found[1] if one.lost} == {}
