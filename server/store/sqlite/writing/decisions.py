"""Decisions on deviations: ignored, or accepted as a change of the specification."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

from server.analysis.specs.deviation import DeviationIdentity
from server.store.rows import DeviationState
from server.store.values import DeviationDecision


class SqliteDecisions:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def decide(self, api: int, identity: DeviationIdentity, decision: DeviationDecision) -> None:
        self.undo(api, identity)
        patch = json.dumps([*decision.patch]) if decision.patch else None
        self._db.execute(
            "INSERT INTO deviation_decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(api, *identity, decision.state, decision.reason, decision.by, decision.time),
                *(decision.spec, patch),
            ),
        )

    def undo(self, api: int, identity: DeviationIdentity) -> None:
        self._db.execute(
            """DELETE FROM deviation_decisions
            WHERE (api, operation, kind, "where", pointer) = (?, ?, ?, ?, ?)""",
            (api, *identity),
        )

    def ignored(self) -> Mapping[int, frozenset[DeviationIdentity]]:
        found: dict[int, set[DeviationIdentity]] = {}
        for api, *identity in self._db.execute(
            """SELECT api, operation, kind, "where", pointer FROM deviation_decisions WHERE state = ?""",
            (DeviationState.IGNORED,),
        ):
            found.setdefault(api, set()).add(DeviationIdentity(*identity))
        return {api: frozenset(identities) for api, identities in found.items()}
