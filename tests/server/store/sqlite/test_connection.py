from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from server.store.sqlite.connection import Readers, opened


def test_readers_cannot_write_and_give_their_connection_back(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(opened(path)) as db:
        db.execute("CREATE TABLE t (text TEXT)")
    readers = Readers(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"), readers.one() as first:
        first.execute("DELETE FROM t")
    with readers.one() as second:
        assert second is first
    readers.close()


def test_a_damaged_text_is_shown_as_far_as_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "t.db"
    with closing(opened(path)) as db:
        db.execute("CREATE TABLE t (text TEXT)")
        db.execute("INSERT INTO t VALUES (CAST(x'61ff62' AS TEXT))")
    readers = Readers(path)
    with readers.one() as reader:
        assert reader.execute("SELECT text FROM t").fetchone()[0] == "a\ufffdb"
    readers.close()
