"""Whatever part of a database is damaged, the server starts again with the rest, and reports what is lost."""

from __future__ import annotations

import gzip
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.analysis.specs.load import load
from server.config import ServerSettings
from server.core import Core
from server.store.errors import Damaged, StoreUnavailable
from server.store.sqlite.connection import FILE, opened
from server.store.sqlite.salvage import NAMES, Salvaged, salvage
from server.store.sqlite.salvage.scan import END, Scan, ScannedTable, total
from server.store.sqlite.store import SqliteStore
from tests.server.records import both, record
from tests.server.running import serving, wait_for

WHOLE = gzip.decompress((Path(__file__).parents[4] / "data/databases/77cd586.db.gz").read_bytes())
PAGE = 8192
MENDED = ("exchanges", "apis", "consumers")
Rows = dict[str, list[dict[str, object]]]
"""By table; values by column."""


def starts(data: Path) -> bool:
    """Whether a server starts with a database; the only error allowed is that it is damaged."""
    store = SqliteStore(data)
    try:
        Core(ServerSettings("127.0.0.1", 0, data), store, load)
    except Damaged:
        return False
    finally:
        store.close()
    return True


def rows(path: Path) -> Rows:
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        known = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        tables = [table for table in NAMES if table in known]
        return {table: [*map(dict, db.execute(f"SELECT * FROM {table}"))] for table in tables}


def harmed(whole: bytes, chance: random.Random) -> tuple[bytes, bool]:
    """The database with a few pages overwritten, but not the first; and whether bits were flipped, which may
    leave a valid value.
    """
    found, bits = bytearray(whole), False
    for _ in range(chance.choice([1, 1, 2, 4])):
        page = chance.randrange(1, len(whole) // PAGE) * PAGE
        match chance.choice(["random", "zero", "bits"]):
            case "random":
                found[page : page + PAGE] = chance.randbytes(PAGE)
            case "zero":
                found[page : page + PAGE] = bytes(PAGE)
            case _:
                bits = True
                for _ in range(20):
                    found[page + chance.randrange(PAGE)] ^= 1 << chance.randrange(8)
    return bytes(found), bits


@pytest.fixture(scope="module", params=["older", "present"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database as an older server wrote it, or in the current schema."""
    folder = tmp_path_factory.mktemp("schema")
    (folder / FILE).write_bytes(WHOLE)
    if request.param == "present":
        SqliteStore(folder).close()
    return (folder / FILE).read_bytes()


@pytest.fixture(scope="module")
def before(whole: bytes, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    path = tmp_path_factory.mktemp("whole") / FILE
    path.write_bytes(whole)
    return rows(path)


@pytest.mark.parametrize("seed", range(30))
def test_whatever_page_is_damaged_the_rest_is_there_again(
    tmp_path: Path, seed: int, whole: bytes, before: Rows
) -> None:
    damaged, bits = harmed(whole, random.Random(seed))
    (tmp_path / FILE).write_bytes(damaged)
    found = salvage(tmp_path)
    if found is not None:
        kept, tables = found
        assert kept.read_bytes() == damaged
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
        after = rows(tmp_path / FILE)
        for one in tables:
            assert one.lost is None or one.kept + one.lost >= len(before[one.table]), one
            if one.lost == 0 and not bits and one.table not in MENDED:
                pairs = zip(after[one.table], before[one.table], strict=True)  # there are further columns
                assert [{column: row[column] for column in old} for row, old in pairs] == before[one.table]
    assert starts(tmp_path)
    assert salvage(tmp_path) is None


@pytest.mark.parametrize("pages", [0.5, 0.9])
def test_of_a_file_cut_short_the_rest_is_there_again(tmp_path: Path, pages: float, before: Rows) -> None:
    (tmp_path / FILE).write_bytes(WHOLE[: int(len(WHOLE) * pages) + 77])
    with pytest.raises(Damaged):
        SqliteStore(tmp_path)
    found = salvage(tmp_path)
    assert found is not None
    kept = {one.table: one.kept for one in found[1]}
    assert 0 < sum(kept.values()) < sum(map(len, before.values()))
    assert starts(tmp_path)


def test_half_of_the_first_page_lost_is_damage_and_the_rest_is_there_again(tmp_path: Path) -> None:
    """That half has part of the schema."""
    (tmp_path / FILE).write_bytes(WHOLE[: PAGE // 2] + bytes(PAGE // 2) + WHOLE[PAGE:])
    with pytest.raises(Damaged, match="--salvage"):
        SqliteStore(tmp_path)
    assert salvage(tmp_path) is not None
    assert starts(tmp_path)


def test_a_database_that_is_whole_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(WHOLE)
    assert salvage(tmp_path) is None
    assert (tmp_path / FILE).read_bytes() == WHOLE
    assert {path.name for path in tmp_path.iterdir()} == {FILE, "spectap.lock"}
    assert salvage(tmp_path / "nothing") is None


def test_where_nothing_can_be_read_it_says_so_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x" * len(WHOLE))
    with pytest.raises(StoreUnavailable, match="nothing can be salvaged"):
        salvage(tmp_path)
    assert (tmp_path / FILE).read_bytes() == b"x" * len(WHOLE)


def test_a_running_servers_database_is_left_alone(tmp_path: Path) -> None:
    with serving(tmp_path), pytest.raises(StoreUnavailable, match="used by another server"):
        salvage(tmp_path)


def test_no_records_number_is_given_twice_whatever_of_the_records_is_lost(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(WHOLE)
    store = SqliteStore(tmp_path)
    following = store.write(lambda unit: unit.samples.numbers(1, 0)[0]).result() + 1
    store.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        db.execute("UPDATE witnesses SET record = x'c1'")
    assert salvage(tmp_path) is not None
    store = SqliteStore(tmp_path)
    assert store.write(lambda unit: unit.samples.numbers(1, 0)[0]).result() == following
    store.close()


def test_an_unreadable_record_is_lost_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.write_bytes(WHOLE)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE witnesses SET record = x'c1' WHERE number = (SELECT max(number) FROM exchanges)")
        db.execute("UPDATE specs SET warnings = '[' WHERE number = 1")
    found = salvage(tmp_path)
    assert found is not None
    lost = {one.table: one.lost for one in found[1] if one.lost}
    assert lost == {"witnesses": 1, "exchanges": 1, "specs": 1}


def test_views_that_wait_are_salvaged_and_wait_on(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        client.send(record(9, "client"))
        client.core.settling.stop()
        client.deliver(record(1, "client"), record(2, "client"))
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        db.execute("UPDATE witnesses SET record = x'c1' WHERE id = ?", (record(2, "client").id,))
    found = salvage(tmp_path)
    assert found is not None
    assert {one.table: one.lost for one in found[1] if one.lost} == {"witnesses": 1, "held": 1}
    with serving(tmp_path) as client:
        client.seq = 2
        client.send(record(1, "server"), record(9, "server"))
        assert [len(one["witnesses"]) for one in client.items("/exchanges")] == [2, 2]


def test_lost_apis_callers_and_operations_are_known_again_by_their_traffic(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        client.send(*both(0), *both(1, "/carts"))
        (api,) = client.items("/apis")
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        for table in ("apis", "api_keys", "consumers"):
            db.execute(f"DELETE FROM {table}")
        db.execute("DELETE FROM operations WHERE template = '/carts'")
    assert salvage(tmp_path) is not None
    with serving(tmp_path) as client:
        (known,) = client.items("/apis")
        assert (known["id"], known["name"][:9]) == (api["id"], "(salvaged")
        wait_for(lambda: client.operations().get("GET /carts"), "lost operation, judged anew")
        client.seq = 1
        client.send(*both(2), *both(3, "/carts"))
        (again,), found = client.items("/apis"), client.operations()
    assert (again["id"], again["name"], again["exchanges"]) == (api["id"], api["name"], 4)
    assert {one["count"] for one in found.values()} == {2}
    assert [caller["name"] for one in found.values() for caller in one["callers"]] == ["curl", "curl"]


@contextmanager
def old(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection as salvage opens for a damaged database."""
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = bytes
        yield db


@contextmanager
def table_of(path: Path, count: int, schema: str) -> Iterator[sqlite3.Connection]:
    with closing(opened(path)) as db:
        db.execute(schema)
        db.execute("BEGIN")
        db.executemany("INSERT INTO t VALUES (?, ?)", ((f"{n:06}", n) for n in range(count)))
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield db


COLUMNS = "CREATE TABLE t (name TEXT NOT NULL, number INTEGER"


@pytest.mark.parametrize(
    ("schema", "most"),
    [
        (f"{COLUMNS} PRIMARY KEY)", 2_000),
        (f"{COLUMNS} NOT NULL, PRIMARY KEY (number)) WITHOUT ROWID", 2_000),
        (f"{COLUMNS} NOT NULL, PRIMARY KEY (name)) WITHOUT ROWID", 45_000),
    ],
)
def test_two_pages_lost_cost_no_more_than_their_rows(tmp_path: Path, schema: str, most: int) -> None:
    """If the key is a text, the rows between the two are lost as well."""
    path, count = tmp_path / "t.db", 50_000
    with table_of(path, count, schema) as db:
        table = ScannedTable.of(db, "t")
    raw = bytearray(path.read_bytes())
    pages = len(raw) // PAGE
    for page in (pages // 3, 2 * pages // 3):
        raw[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    path.write_bytes(raw)
    with old(path) as db:
        scan = Scan(db, table)
        found = {row[1] for row in scan}
        assert scan.damaged
        assert count - most <= len(found) < count
        assert total(db, "t") is None


def test_how_many_are_lost_is_known_by_an_index_that_can_be_read(tmp_path: Path) -> None:
    path, count = tmp_path / "t.db", 20_000
    schema = "CREATE TABLE t (name TEXT NOT NULL UNIQUE, number INTEGER PRIMARY KEY)"
    with table_of(path, count, schema) as db:
        rootpage = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 't'").fetchone()[0]
    raw = bytearray(path.read_bytes())
    raw[(rootpage - 1) * PAGE : rootpage * PAGE] = bytes(PAGE)
    path.write_bytes(raw)
    with old(path) as db:
        assert total(db, "t") == count


class ReadableFrom(Scan):
    """A table that can be read from a number on."""

    def __init__(self, first: int) -> None:
        self._first = first

    def _reads(self, number: int) -> bool:
        return self._first <= number <= END


@given(st.integers(-1, END), st.integers(0, END))
@example(END, END)
@example(END - 3, END)
def test_reading_goes_on_at_the_first_number_from_which_it_can(failed: int, first: int) -> None:
    found = ReadableFrom(first)._readable_from(failed)
    assert found == (max(first, failed + 1) if failed < END else None)


@given(st.integers(-1, END))
def test_reading_ends_where_nothing_can_be_read_any_more(failed: int) -> None:
    assert ReadableFrom(END + 1)._readable_from(failed) is None


def test_what_is_lost_is_said_in_words() -> None:
    assert str(Salvaged("witnesses", 1234, 5)) == "records of exchanges: 1,234 kept, 5 lost"
    assert str(Salvaged("apis", 0, None)) == "APIs: 0 kept, an unknown number lost"


def test_damage_met_while_running_is_told_by_readyz(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(WHOLE)
    SqliteStore(tmp_path).close()  # migrated to the current schema: nothing of it is in the write-ahead log
    with serving(tmp_path, load, retention_days=36_500) as client:
        assert client.http.get("/readyz").status_code == 200
        with (tmp_path / FILE).open("r+b") as file:
            file.seek(PAGE)
            file.write(bytes((tmp_path / FILE).stat().st_size - PAGE))
        answers = [client.http.get(f"/api/v1/{name}") for name in ("exchanges", "apis", "deviations")]
        assert {answer.status_code for answer in answers} == {503}
        assert "--salvage" in answers[0].json()["detail"]
        ready = client.http.get("/readyz")
        assert (ready.status_code, "--salvage" in ready.json()["detail"]) == (503, True)
        assert client.http.get("/healthz").status_code == 200
