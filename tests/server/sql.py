"""Direct access of tests to a server's database."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from server.store.sqlite.store import SqliteStore
from server.store.store import Store


def database(store: Store) -> sqlite3.Connection:
    """The writer's connection, for use on the writer's thread only."""
    assert isinstance(store, SqliteStore)
    return store._db


def path_of(store: Store) -> Path:
    assert isinstance(store, SqliteStore)
    return store.path


def sql(store: Store, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Runs a statement as a piece of work. Returns its rows."""
    db = database(store)
    return store.write(lambda unit: [tuple(row) for row in db.execute(statement, values)]).result()


def drop_oldest(store: Store, count: int) -> int:
    """Deletes exchanges as retention does. Returns how many."""
    assert isinstance(store, SqliteStore)
    return store.write(lambda unit: unit.retention.drop_oldest(count)).result()
