from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from server.store.errors import StoreUnavailable
from server.store.sqlite import connection
from server.store.sqlite.connection import FILE, PAGE_BYTES
from server.store.sqlite.schema import migrations
from server.store.sqlite.store import SqliteStore
from server.store.sqlite.writer import MAX_WAITING
from server.store.sqlite.writing import SqliteUnit
from tests.server.running import wait_for
from tests.server.sql import sql


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "data")
    yield store
    store.close()


def count(bucket: str) -> Callable[[SqliteUnit], None]:
    """Work that fails if it runs twice."""

    def work(unit: SqliteUnit) -> None:
        unit._db.execute("INSERT INTO ledger (bucket, count) VALUES (?, 1)", (bucket,))

    return work


def buckets(store: SqliteStore) -> list[str]:
    with store.reading() as reader:
        return sorted(reader.fleet.ledgers().server)


def test_an_empty_file_is_migrated_and_opens_again(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    for _ in range(2):
        SqliteStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        names = {name for (name,) in db.execute("SELECT name FROM _sqlite_migrations")}
        (vacuum,) = db.execute("PRAGMA auto_vacuum").fetchone()
        (page,) = db.execute("PRAGMA page_size").fetchone()
    assert names == {one.name for one in migrations._migrations}
    assert all(name.startswith(f"m{n:03}_") for n, name in enumerate(sorted(names), 1))
    assert (vacuum, page) == (2, PAGE_BYTES)  # incremental


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute("CREATE TABLE operations (stray)")  # conflicts with the first migration's second table
    with pytest.raises(StoreUnavailable):
        SqliteStore(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "apis" not in tables


def test_the_file_is_for_its_owner_only(store: SqliteStore) -> None:
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


def test_what_is_not_a_database_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreUnavailable, match="NOTADB"):
        SqliteStore(tmp_path)


def test_a_directory_that_cannot_be_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="cannot use"):
        SqliteStore(tmp_path / "file" / "data")


def test_work_that_fails_is_undone_alone(store: SqliteStore) -> None:
    def wrong(unit: SqliteUnit) -> None:
        count("lost")(unit)
        raise ZeroDivisionError

    held = threading.Event()
    first = store.write(lambda db: held.wait(30))
    futures = [store.write(work) for work in (count("a"), wrong, count("b"))]
    held.set()
    first.result()
    futures[0].result()
    futures[2].result()
    assert isinstance(futures[1].exception(), ZeroDivisionError)
    assert buckets(store) == ["a", "b"]


def test_work_that_nobody_waits_for_any_more_is_not_begun(store: SqliteStore) -> None:
    held = threading.Event()
    store.write(lambda db: held.wait(30))
    wait_for(lambda: store.waiting == 0, "start of the first piece of work")
    given_up, kept = store.write(count("given up")), store.write(count("kept"))
    assert given_up.cancel()
    held.set()
    kept.result()
    assert buckets(store) == ["kept"]


def test_caches_that_cannot_be_read_anew_hold_up_what_comes_next(store: SqliteStore) -> None:
    trouble = [sqlite3.OperationalError("disk I/O error")] * 2

    def forget() -> None:
        if trouble:
            raise trouble.pop()

    store.on_undo(forget)
    store.write(count("a")).result()
    assert store.write(count("a")).exception() is not None
    with pytest.raises(StoreUnavailable):
        store.write(count("b")).result()
    store.write(count("c")).result()
    assert buckets(store) == ["a", "c"]


def test_caches_are_told_when_work_was_undone(store: SqliteStore) -> None:
    told: list[bool] = []
    store.on_undo(lambda: told.append(True))
    store.write(count("a")).result()
    assert told == []
    assert store.write(count("a")).exception() is not None
    assert told == [True]


def test_all_that_was_accepted_is_committed_at_the_end(store: SqliteStore) -> None:
    futures = [store.write(count(f"{n:03}")) for n in range(200)]
    store.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with closing(sqlite3.connect(store.path)) as db:
        assert db.execute("SELECT count(*) FROM ledger").fetchone() == (200,)
    with pytest.raises(StoreUnavailable):
        store.write(count("late"))


def test_more_work_than_may_wait_is_refused(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    first = store.write(lambda db: held.wait(30))
    wait_for(lambda: store.waiting == 0, "start of the first piece of work")
    rest = [store.write(count(f"{n}")) for n in range(MAX_WAITING)]
    with pytest.raises(StoreUnavailable, match="write queue is full"):
        store.write(count("one more"))
    held.set()
    first.result()
    for future in rest:
        future.result()


def test_a_full_disk_fails_the_work_and_not_the_store(store: SqliteStore) -> None:
    ((pages,),) = sql(store, "PRAGMA page_count")
    sql(store, f"PRAGMA max_page_count = {pages + 1}")

    def large(unit: SqliteUnit) -> None:
        unit.positions.count({"x" * 100_000: 1})

    with pytest.raises(StoreUnavailable, match="full"):
        store.write(large).result()
    assert buckets(store) == []
    assert "full" in str(store.refused)
    sql(store, "PRAGMA max_page_count = 1000000")
    store.write(large).result()
    assert len(buckets(store)) == 1
    assert store.refused is None


def test_a_lock_held_by_another_program_is_said_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_S", 0.01)
    store = SqliteStore(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            store.write(count("a")).result()
        other.execute("ROLLBACK")
    store.write(count("b")).result()
    assert buckets(store) == ["b"]
    store.close()


def test_a_reader_sees_one_moment_whatever_is_written(store: SqliteStore) -> None:
    store.write(count("a")).result()
    with store.reading() as reader:
        before = reader.fleet.ledgers().server
        store.write(count("b")).result()
        assert reader.fleet.ledgers().server == before == {"a": 1}
    assert buckets(store) == ["a", "b"]


def test_a_directory_has_one_server(store: SqliteStore) -> None:
    with pytest.raises(StoreUnavailable, match="another server"):
        SqliteStore(store.path.parent)
    store.close()
    SqliteStore(store.path.parent).close()


def test_a_database_of_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        db.execute(
            """INSERT INTO _sqlite_migrations (migration_set, name, applied_at)
            VALUES ('spectap', 'm999_future', '2030-01-01')"""
        )
    with pytest.raises(StoreUnavailable, match=r"newer spectap \(m999_future\)"):
        SqliteStore(tmp_path)
    with pytest.raises(StoreUnavailable, match="newer spectap"):  # and the lock is released
        SqliteStore(tmp_path)
