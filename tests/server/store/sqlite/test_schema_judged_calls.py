"""Calls of an older database get the verdict and fault of their exchange, as far as it is stored."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from server.store.sqlite.connection import FILE
from tests.server.engine import spec
from tests.server.records import record
from tests.server.running import serving
from tests.server.sql import drop_oldest, sql

TABLE = "SELECT status, verdict, fault, sum(count) FROM calls GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
OLDER = """
CREATE TABLE older (operation INTEGER NOT NULL, hour INTEGER NOT NULL, consumer INTEGER NOT NULL,
    status INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (operation, hour, consumer, status)) WITHOUT ROWID;
INSERT INTO older SELECT operation, hour, consumer, status, sum(count) FROM calls GROUP BY 1, 2, 3, 4;
DROP TABLE calls;
ALTER TABLE older RENAME TO calls;
DELETE FROM _sqlite_migrations WHERE name >= 'm029';
"""


def test_calls_that_are_stored_have_their_verdict_and_others_none(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        client.http.post("/api/v1/specs?host=shop.local:8080", content=spec("GET /x")).raise_for_status()
        answers = [("/x", 200), ("/x", 200), ("/x", 500), ("/y", 200)]
        client.send(*[record(n, path=path, status=status) for n, (path, status) in enumerate(answers)])
        assert drop_oldest(client.core.store, 1) == 1
        before = sql(client.core.store, TABLE)
    assert before == [
        (200, "conforming", "", 2),
        (200, "shadow", "server", 1),
        (500, "deviating", "server", 1),
    ]
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.executescript(OLDER)
    with serving(tmp_path) as client:
        assert sql(client.core.store, TABLE) == [(200, "", "", 1), (200, "conforming", "", 1), *before[1:]]
