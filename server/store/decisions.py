"""What people decided of deviations: to ignore one, or to change the specification for it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlite_utils import Database

from server.analysis.specs.deviation import DeviationIdentity
from server.store.specs import of_id


def identity(row: Mapping[str, Any]) -> DeviationIdentity:
    """That of a deviation's row, or of a decision's."""
    return DeviationIdentity(row["operation"], row["kind"], row["where"], row["pointer"])


SAME = """deviation_decisions.api = deviations.api AND deviation_decisions.operation = deviations.operation
    AND deviation_decisions.kind = deviations.kind AND deviation_decisions."where" = deviations."where"
    AND deviation_decisions.pointer = deviations.pointer"""


class State(StrEnum):
    """Of a deviation; without a decision it is open."""

    OPEN = "open"
    ACCEPTED = "accepted"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Decision:
    """`by` is the name that was given, `time` in ns; `spec` and `patch` are those of what was accepted."""

    state: State
    reason: str | None
    by: str | None
    time: int
    spec: str | None = None
    patch: tuple[dict[str, Any], ...] = ()


def decide(db: Database, api: int, identity: DeviationIdentity, decision: Decision) -> None:
    """Replaces what was decided before. Writer's thread."""
    patch = json.dumps(decision.patch) if decision.patch else None
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
    db.conn.execute("DELETE FROM deviation_decisions WHERE state = ? AND spec = ?", (State.ACCEPTED, spec))


def ignored(db: Database) -> Mapping[int, frozenset[DeviationIdentity]]:
    """What is ignored, by API."""
    found: dict[int, set[DeviationIdentity]] = {}
    for api, *identity in db.conn.execute(
        """SELECT api, operation, kind, "where", pointer FROM deviation_decisions WHERE state = ?""",
        (State.IGNORED,),
    ):
        found.setdefault(api, set()).add(DeviationIdentity(*identity))
    return {api: frozenset(identities) for api, identities in found.items()}


def deviation(db: sqlite3.Connection, number: int) -> dict[str, Any] | None:
    """A deviation with its API's number and its sample's id."""
    row = db.execute("SELECT * FROM deviations WHERE number = ?", (number,)).fetchone()
    return None if row is None else dict(row)


def numbers(db: sqlite3.Connection, api: int, packed: str | None) -> list[int | None]:
    """Of the deviations that an exchange is kept with; None for one that is not kept itself."""
    query = 'SELECT number FROM deviations WHERE (api, operation, kind, "where", pointer) = (?, ?, ?, ?, ?)'
    shown = json.loads(packed) if packed else []
    rows = [db.execute(query, (api, *one[:4])).fetchone() for one in shown]
    return [None if row is None else int(row[0]) for row in rows]


def proposals(db: sqlite3.Connection, api: int, spec: str | None = None) -> list[dict[str, Any]]:
    """What was accepted of an API's deviations, oldest first, each with its patch."""
    rows = db.execute(
        """SELECT * FROM deviation_decisions WHERE api = ? AND state = ? AND coalesce(?, spec) = spec
        ORDER BY time, operation, kind, "where", pointer""",
        (api, State.ACCEPTED, spec),
    )
    return [{**dict(row), "patch": json.loads(row["patch"])} for row in rows if of_id(db, row["spec"])]
