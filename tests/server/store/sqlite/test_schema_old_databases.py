"""A database of an older server is opened, and nothing in it is missing or different."""

from __future__ import annotations

import gzip
import json
import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import decode_record
from server.analysis.specs.load import load
from server.store.sqlite.connection import FILE
from server.store.sqlite.store import SqliteStore
from tests.data.databases.answers import LISTS, answers
from tests.server.records import NGINX
from tests.server.running import Client, serving
from tests.server.sql import sql

DATABASES = Path(__file__).parents[3] / "data" / "databases"
REVISIONS = sorted(path.name.removesuffix(".db.gz") for path in DATABASES.glob("*.db.gz"))
CENTURY_DAYS = 36_500.0
PAGES = ("/", "/exchanges", "/deviations", "/deviations?state=ignored")


def unpacked(name: str) -> bytes:
    return gzip.decompress((DATABASES / name).read_bytes())


def missing(old: Any, new: Any, where: str) -> list[str]:
    """What `old` has and `new` lacks. Objects may have additional members."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [at for name in old for at in missing(old[name], new.get(name), f"{where}.{name}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [at for i, pair in pairs for at in missing(*pair, f"{where}[{i}]")]
    return [] if old == new else [f"{where}: {old!r} became {new!r}"]


def lost(old: list[Any], new: list[Any], where: str) -> list[str]:
    """Items of a list that are missing or different; there may be additional ones in between."""
    found: list[str] = []
    rest = list(new)
    for i, item in enumerate(old):
        fitting = [one for one in rest if not missing(item, one, "")]
        if fitting:
            rest.remove(fitting[0])
        else:
            found += missing(item, rest[0] if rest else None, f"{where}[{i}]")
    return found


def present(client: Client, path: str) -> str:
    """Where an address of the older server leads to."""
    answer = client.http.get(path)
    if answer.status_code == 308:
        assert client.http.get(answer.headers["location"]).status_code == 200
        return str(answer.headers["location"]).rpartition("/")[2]
    assert answer.status_code == 200, (path, answer.status_code)
    return path.rpartition("/")[2]


def renamed(before: dict[str, list[Any]], client: Client) -> dict[str, list[Any]]:
    """The older answers, with ids replaced by those that they lead to."""
    text = json.dumps(before)
    for api in before["/apis"]:
        id = present(client, f"/api/v1/apis/{api['id']}")
        assert {present(client, f"/apis/{one}") for one in (api["id"], *api["merged"])} == {id}
        merged = client.get(f"/apis/{id}")["merged"]
        assert len(merged) == len(api["merged"])
        for old, new in zip((api["id"], *api["merged"]), (id, *merged), strict=True):
            text = text.replace(f'"{old}"', f'"{new}"').replace(f"/{old}", f"/{new}")
    found: dict[str, list[Any]] = json.loads(text)
    for deviation in (*found["/deviations"], *found["/deviations?state=ignored"]):
        deviation["id"] = present(client, f"/deviations/{deviation['id']}")
    return found


def test_there_is_a_database_to_open() -> None:
    assert "77cd586" in REVISIONS


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_answer_of_the_older_server_is_still_given(
    tmp_path: Path, revision: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(unpacked(f"{revision}.db.gz"))
    before: dict[str, list[Any]] = json.loads(unpacked(f"{revision}.json.gz"))
    with serving(tmp_path, load, retention_days=CENTURY_DAYS) as client:
        now = answers(client)
        before = renamed(before, client)
        pages = [*PAGES, *(f"{path}/{item['id']}" for path in LISTS[:1] for item in before[path])]
        assert [path for path in pages if client.http.get(path).status_code != 200] == []
    assert [at for path, old in before.items() for at in lost(old, now.get(path, []), path)] == []
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == []
    assert {path for path in before if before[path]} >= {*LISTS, "/deviations?state=ignored", "/ledger"}


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_view_that_waited_before_the_upgrade_is_found(tmp_path: Path, revision: str) -> None:
    (tmp_path / FILE).write_bytes(unpacked(f"{revision}.db.gz"))
    with serving(tmp_path, load, retention_days=CENTURY_DAYS) as client:
        rows = sql(client.core.store, "SELECT record FROM alone JOIN witnesses USING (number)")
        one = next(view for (raw,) in rows if (view := decode_record(raw)).side == "client")
        before, client.seq = len(client.items("/exchanges")), 1000
        client.send(replace(one, id="late", side="server", connection="late", process=NGINX))
        assert len(client.items("/exchanges")) == before
        assert len(client.get("/exchanges/late")["witnesses"]) == 2


def test_differences_that_were_found_before_faults_were_judged_have_an_unknown_one(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(unpacked("77cd586.db.gz"))
    SqliteStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        faults = dict(
            db.execute(
                "SELECT verdict, group_concat(DISTINCT coalesce(fault, '-')) FROM exchanges GROUP BY 1"
            )
        )
    assert faults["deviating"] == faults["shadow"] == "unknown"
    assert faults["conforming"] == "-"


def test_the_key_of_a_table_without_rowid_is_in_front(tmp_path: Path) -> None:
    """SQLite 3.40's integrity_check, by which a salvage tells whether a database is whole, says "NULL value"
    of other tables.
    """
    SqliteStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        tables = db.execute("SELECT name FROM pragma_table_list WHERE wr AND schema = 'main'").fetchall()
        assert ("ledger",) in tables
        for (table,) in tables:
            keys = [bool(place) for (place,) in db.execute("SELECT pk FROM pragma_table_info(?)", (table,))]
            assert keys == sorted(keys, reverse=True), table
