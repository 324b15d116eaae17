"""A database with sequence numbers gets numbers derived from keys, and loses nothing."""

from __future__ import annotations

import gzip
import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlite_utils import Database

from agent.wire import Record, decode_record
from server.analysis.inventory import key_of
from server.store.errors import Damaged
from server.store.keys import LOWEST, Numbered, number_of
from server.store.sqlite import renumbering
from server.store.sqlite.connection import FILE, opened
from server.store.sqlite.salvage import salvage
from server.store.sqlite.schema import migrate, migrations
from server.store.sqlite.store import SqliteStore

OLD = gzip.decompress((Path(__file__).parents[3] / "data/databases/77cd586.db.gz").read_bytes())
Rows = dict[str, Counter[tuple[object, ...]]]

API = "(SELECT id FROM named WHERE named.number = api) AS of_api"
OPERATION = """(SELECT id || ' ' || key FROM operations JOIN named ON named.number = api
    WHERE operations.number = operation) AS of_operation"""
CONSUMER = """coalesce((SELECT kind || ' ' || name FROM consumers WHERE number = consumer), consumer)
    AS of_consumer"""
DEVIATION = """(SELECT id || operation || kind || "where" || pointer FROM deviations
    JOIN named ON named.number = api WHERE deviations.number = deviation) AS of_deviation"""
IDENTITY = f'{API}, operation, kind, "where", pointer'
CONTENTS = {
    "api_keys": f"key, {API}, state",
    "hosts": f"{API}, host, declared",
    "operations": f"""{API}, key, kind, method, template, operation_id, deprecated, count, first_seen,
        last_seen""",
    "consumers": "kind, name",
    "calls": f"{OPERATION}, hour, {CONSUMER}, status, count",
    "latency": f"{OPERATION}, day, bucket, count",
    "verdicts": f"{OPERATION}, verdict, count",
    "coverage": f"{OPERATION}, {CONSUMER}, counts",
    "deviations": f"{IDENTITY}, message, first_seen, last_seen, sample, revision",
    "deviation_calls": f"{DEVIATION}, {CONSUMER}, count",
    "deviation_decisions": f'{IDENTITY}, state, reason, "by", time, spec, patch',
    "exchanges": f"""number, time, {API}, {OPERATION}, {CONSUMER}, method, path, status, bucket, duration,
        verdict, why, deprecated, deviations, revision, second""",
    "specs": f"id, {API}, host, base_path, title, version, raw",
    "learners": f"number, {API}, state",
    "rebuilt": f"number, {API}, version, document",
    "decisions": f"number, {API}, decision",
}
"""Stored data with names instead of numbers."""
CALLS = "(SELECT operation, hour, consumer, status, sum(count) AS count FROM calls GROUP BY 1, 2, 3, 4)"
"""Of an older database they are not apart by verdict."""
DESCRIBED = "operation IN (SELECT number FROM operations WHERE kind = 'specified')"
"""The coverage that was counted then."""
APIS = """SELECT named.id, kind, name, internal, node, process, executable, port, namespace, workload,
    revision FROM apis JOIN named ON named.number = apis.number"""


@contextmanager
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    """A database with sequence numbers, and the former ids of its APIs."""
    path = folder / FILE
    path.write_bytes(OLD)
    with closing(opened(path)) as db:
        migrations.apply(Database(db), stop_before="m014_keys")
        db.execute("CREATE TEMP TABLE named AS SELECT number, id FROM apis WHERE merged_into IS NULL")
        yield db


def contents(db: sqlite3.Connection) -> Rows:
    rows = {table: table for table in CONTENTS} | {"calls": CALLS}
    found = {
        table: Counter(db.execute(f"SELECT {what} FROM {rows[table]}")) for table, what in CONTENTS.items()
    }
    found["coverage"] = Counter(db.execute(f"SELECT {CONTENTS['coverage']} FROM coverage WHERE {DESCRIBED}"))
    found["apis"] = Counter(db.execute(APIS))
    return found


def renumbered(db: sqlite3.Connection) -> None:
    """Migrates. Returns which API became which."""
    migrate(db)
    db.execute("UPDATE named SET number = (SELECT number FROM aliases WHERE kind = 'api' AND old = named.id)")


def schema(db: sqlite3.Connection) -> set[tuple[str, str]]:
    return {*db.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")}


def test_all_that_was_stored_is_there_under_its_new_numbers(tmp_path: Path) -> None:
    with database(tmp_path) as db:
        before = contents(db)
        assert all(before.values()), "the database has something of each"
        renumbered(db)
        assert contents(db) == before
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_migrated_database_has_the_schema_of_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with database(tmp_path) as db, closing(opened(tmp_path / "new" / FILE)) as new:
        migrate(db)
        migrate(new)
        assert schema(db) == schema(new)


def test_every_number_is_that_of_its_key(tmp_path: Path) -> None:
    with database(tmp_path) as db:
        migrate(db)
        queries = {
            Numbered.OPERATION: "SELECT number, api, key FROM operations",
            Numbered.CONSUMER: "SELECT number, kind, name FROM consumers",
            Numbered.DEVIATION: 'SELECT number, api, operation, kind, "where", pointer FROM deviations',
        }
        for kind, query in queries.items():
            for number, *key in db.execute(query):
                assert number == number_of(kind, *key)
        for number, key in db.execute("SELECT number, key FROM apis"):
            assert number == number_of(Numbered.API, *json.loads(key))


def test_a_server_that_gets_the_same_traffic_comes_to_the_same_numbers(tmp_path: Path) -> None:
    """Also for merged APIs: their key was not stored, and is derived."""
    with database(tmp_path) as db:
        records: list[Record] = [decode_record(raw) for (raw,) in db.execute("SELECT record FROM witnesses")]
        migrate(db)
        kept = {number for number, key in db.execute("SELECT number, key FROM apis") if '"kept"' not in key}
        assert {number for (number,) in db.execute("SELECT number FROM apis")} == kept
        of_keys = {number_of(Numbered.API, *key_of(one)) for one in records}
        own = {api for (api,) in db.execute("SELECT api FROM api_keys WHERE state = 'own'")}
        merged = {number for (number,) in db.execute("SELECT number FROM apis WHERE merged_into > 0")}
        assert own <= of_keys
        assert merged & of_keys


def test_what_an_older_server_called_anything_leads_to_it(tmp_path: Path) -> None:
    with database(tmp_path) as db:
        old = db.execute("SELECT number, id, coalesce(merged_into, number) FROM apis").fetchall()
        deviations = [str(number) for (number,) in db.execute("SELECT number FROM deviations")]
        migrate(db)
        aliases = {(kind, name): number for kind, name, number in db.execute("SELECT * FROM aliases")}
        live = {number for (number,) in db.execute("SELECT number FROM apis WHERE merged_into IS NULL")}
        for number, id, into in old:
            assert aliases["api", id] == aliases["api", str(number)] == aliases["api", str(into)]
            assert aliases["api", id] in live
        stored = {number for (number,) in db.execute("SELECT number FROM deviations")}
        assert {aliases["deviation", id] for id in deviations} == stored
        assert len(aliases) == 2 * len(old) + len(deviations)


def test_what_was_interrupted_has_changed_nothing_and_is_done_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database(tmp_path) as db:
        before, tables = contents(db), schema(db)
        with monkeypatch.context() as patch:
            patch.setattr(renumbering, "EXCHANGES_INDEX", "no SQL")
            with pytest.raises(sqlite3.OperationalError):
                migrate(db)
        assert (contents(db), schema(db)) == (before, tables)
        renumbered(db)
        assert contents(db) == before


def test_apis_that_were_declared_twice_by_one_name_are_one(tmp_path: Path) -> None:
    """As after the hosts of the first one were lost."""
    with database(tmp_path) as db:
        db.executescript("""
        INSERT INTO apis (number, id, kind, name, internal) VALUES
            (901, 'first', 'declared', 'twice.local', 0), (902, 'second', 'declared', 'twice.local', 0);
        INSERT INTO hosts VALUES (902, 'twice.local', 1);
        INSERT INTO operations (number, api, key, kind, method, template, count, first_seen, last_seen) VALUES
            (901, 901, 'GET /x', 'provisional', 'GET', '/x', 1, 10, 20),
            (902, 902, 'GET /x', 'specified', 'GET', '/x', 2, 5, 7);
        INSERT INTO verdicts VALUES (901, 'shadow', 1), (902, 'shadow', 2);
        INSERT INTO specs (number, id, api, title, version, uploaded, raw) VALUES
            (901, 'a', 901, '', '', 0, ''), (902, 'b', 902, '', '', 0, '');
        """)
        migrate(db)
        number = number_of(Numbered.API, "declared", "twice.local")
        operation = number_of(Numbered.OPERATION, number, "GET /x")
        row = db.execute(
            "SELECT kind, count, first_seen, last_seen FROM operations WHERE number = ?", (operation,)
        )
        assert row.fetchall() == [("specified", 3, 5, 20)]
        verdicts = db.execute("SELECT verdict, count FROM verdicts WHERE operation = ?", (operation,))
        assert verdicts.fetchall() == [("shadow", 3)]
        specs = db.execute("SELECT id FROM specs WHERE api = ? ORDER BY id", (number,))
        assert specs.fetchall() == [("a",), ("b",)]
        assert db.execute("SELECT revision FROM apis WHERE number = ?", (number,)).fetchone()[0] > 0
        aliases = db.execute(
            "SELECT old FROM aliases WHERE kind = 'api' AND number = ? ORDER BY old", (number,)
        )
        assert [old for (old,) in aliases] == ["901", "902", "first", "second"]


def test_what_refers_to_nothing_stays_as_it_was(tmp_path: Path) -> None:
    with database(tmp_path) as db:
        db.execute("DELETE FROM operations WHERE number = (SELECT min(operation) FROM exchanges)")
        (lost,) = db.execute(
            "SELECT count(*) FROM exchanges WHERE operation NOT IN (SELECT number FROM operations)"
        )
        migrate(db)
        assert lost[0] > 0
        assert db.execute("SELECT count(*) FROM exchanges WHERE operation < ?", (LOWEST,)).fetchone() == lost


@pytest.mark.parametrize(
    "damage",
    ["api_keys SET key = '['", "api_keys SET key = '7'", "operations SET key = CAST(x'ff' AS TEXT)"],
)
def test_what_cannot_be_read_is_damage_and_stays_as_it_is(tmp_path: Path, damage: str) -> None:
    with database(tmp_path) as db:
        db.execute(f"UPDATE OR IGNORE {damage}")  # of one row
    with pytest.raises(Damaged, match="--salvage"):
        SqliteStore(tmp_path)
    assert salvage(tmp_path) is not None
    SqliteStore(tmp_path).close()


def test_long_work_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(renumbering, "AT_ONCE", 20)
    monkeypatch.setattr(renumbering, "LOG_EVERY_S", 0.0)
    with database(tmp_path) as db, caplog.at_level(logging.WARNING):
        migrate(db)
    first, *steps = [one.getMessage() for one in caplog.records]
    assert "46 exchanges" in first
    assert steps == [f"{done} of 46 exchanges rewritten" for done in (20, 40, 46)]


@pytest.mark.parametrize("lost", ["apis", "consumers", "api_keys", "hosts", "operations", "deviations"])
def test_what_was_salvaged_of_an_older_database_is_renumbered(tmp_path: Path, lost: str) -> None:
    with database(tmp_path) as db:
        db.execute(f"DELETE FROM {lost}")
        db.execute("UPDATE specs SET warnings = '[' WHERE number = 1")
    assert salvage(tmp_path) is not None
    SqliteStore(tmp_path).close()
    assert salvage(tmp_path) is None
