"""What people decided of deviations: to ignore one, or to change the specification for it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlite_utils import Database

from server.analysis.specs.deviation import DeviationIdentity
from server.store.rows import DeviationState
from server.store.values import DeviationDecision


def decide(db: Database, api: int, identity: DeviationIdentity, decision: DeviationDecision) -> None:
    """Replaces what was decided before. Writer's thread."""
    patch = json.dumps([*decision.patch]) if decision.patch else None
    db.conn.execute(
        "INSERT OR REPLACE INTO deviation_decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(api, *identity, decision.state, decision.reason, decision.by, decision.time),
            *(decision.spec, patch),
        ),
    )


def undo(db: Database, api: int, identity: DeviationIdentity) -> None:
    """The deviation is open again. Writer's thread."""
    db.conn.execute(
        """DELETE FROM deviation_decisions
        WHERE (api, operation, kind, "where", pointer) = (?, ?, ?, ?, ?)""",
        (api, *identity),
    )


def forget_spec(db: Database, spec: str) -> None:
    """Proposals for a specification that is gone go with it. Writer's thread."""
    accepted = DeviationState.ACCEPTED
    db.conn.execute("DELETE FROM deviation_decisions WHERE state = ? AND spec = ?", (accepted, spec))


def ignored(db: Database) -> Mapping[int, frozenset[DeviationIdentity]]:
    """What is ignored, by API."""
    found: dict[int, set[DeviationIdentity]] = {}
    for api, *identity in db.conn.execute(
        """SELECT api, operation, kind, "where", pointer FROM deviation_decisions WHERE state = ?""",
        (DeviationState.IGNORED,),
    ):
        found.setdefault(api, set()).add(DeviationIdentity(*identity))
    return {api: frozenset(identities) for api, identities in found.items()}
