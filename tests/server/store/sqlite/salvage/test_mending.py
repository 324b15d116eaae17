"""References to lost rows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from server.store.sqlite.connection import opened
from server.store.sqlite.salvage.mending import mend
from server.store.sqlite.schema import migrate
from server.store.sqlite.writing.coverage import SqliteCoverageTally
from server.store.values import Covered


def test_counts_of_a_part_whose_name_is_lost_are_never_those_of_another(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "spectap.db")) as db:
        migrate(db)
        db.execute(
            "INSERT INTO operations (number, api, key, kind, method, template) VALUES (1, 1, '', '', '', '')"
        )
        tally = SqliteCoverageTally(db)
        tally.add(Covered(1, (), ("kept", "lost")))
        tally.flush()
        db.execute("DELETE FROM parts WHERE name = 'lost'")
        mend(db, 0)
        tally = SqliteCoverageTally(db)
        tally.add(Covered(1, (), ("new",)))
        tally.flush()
        counts = {part: count for _, _, part, count in db.execute("SELECT * FROM part_counts")}
        assert counts == {"kept": 1, "new": 1}
