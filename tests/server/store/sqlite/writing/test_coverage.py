"""Coverage counts: everything added is there, however it was added; everything subtracted is gone."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from sqlite_utils import Database

from server.store.sqlite.connection import opened
from server.store.sqlite.schema import migrate, migrate_like, migrations
from server.store.sqlite.writing.coverage import SqliteCoverageTally, move_coverage
from server.store.values import Covered

Counts = Counter[tuple[int, int, str]]
PARTS = [f"field:{number}" for number in range(30)]


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(opened(tmp_path / "spectap.db")) as connection:
        migrate(connection)
        yield connection


def stored(db: sqlite3.Connection) -> Counts:
    return Counter({tuple(at): count for *at, count in db.execute("SELECT * FROM part_counts")})


def one(chance: Random) -> Covered:
    consumers = tuple(chance.sample(range(1, 6), chance.randint(0, 3)))
    return Covered(chance.randint(1, 3), consumers, tuple(chance.sample(PARTS, chance.randint(1, 20))))


def expected(covered: list[Covered]) -> Counts:
    """Counted one by one, for everyone and each consumer."""
    found: Counts = Counter()
    for each in covered:
        for consumer in (0, *each.consumers):
            found.update((each.operation, consumer, part) for part in each.parts)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_those_of_what_was_added_and_not_taken_back(db: sqlite3.Connection, seed: int) -> None:
    chance, tally, kept = Random(seed), SqliteCoverageTally(db), list[Covered]()
    for _ in range(40):
        if kept and chance.random() < 0.4:
            tally.add(kept.pop(chance.randrange(len(kept))), -1)
        else:
            kept.append(one(chance))
            tally.add(kept[-1])
        if chance.random() < 0.3:
            tally.flush()
            assert stored(db) == expected(kept)
            tally = SqliteCoverageTally(db) if chance.random() < 0.5 else tally
    for each in kept:
        tally.add(each, -1)
    tally.flush()
    assert stored(db) == Counter()
    assert db.execute("SELECT count(*) FROM coverage").fetchone() == (0,)


def test_counts_of_an_operation_that_becomes_another_are_added_to_it(db: sqlite3.Connection) -> None:
    tally, chance = SqliteCoverageTally(db), Random(1)
    kept = [one(chance) for _ in range(40)]
    for each in kept:
        tally.add(each)
    tally.flush()
    move_coverage(db, 1, 2)
    moved = [
        Covered(2 if each.operation == 1 else each.operation, each.consumers, each.parts) for each in kept
    ]
    assert stored(db) == expected(moved)


def test_counts_of_an_older_database_are_all_there(tmp_path: Path) -> None:
    names = [step.name for step in migrations.pending(Database(memory=True))]
    before = names[: names.index("m012_coverage_counts")]
    chance = Random(2)
    counts = expected([one(chance) for _ in range(40)])
    with closing(opened(tmp_path / "spectap.db")) as connection:
        migrate_like(connection, before)
        rows = [(*at, count) for at, count in counts.items()]
        connection.executemany("INSERT INTO coverage VALUES (?, ?, ?, ?)", rows)
        migrate(connection)
        assert stored(connection) == counts


def test_a_row_that_is_no_json_fails_nobody_else(db: sqlite3.Connection) -> None:
    tally = SqliteCoverageTally(db)
    tally.add(Covered(1, (4,), ("a",)))
    tally.flush()
    db.execute("UPDATE coverage SET counts = '{\"1\":' WHERE consumer = 4")
    assert stored(db) == {(1, 0, "a"): 1}
    tally.add(Covered(1, (4,), ("a",)))
    tally.flush()
    assert stored(db) == {(1, 0, "a"): 2, (1, 4, "a"): 1}
