"""Deviations, and what people decide of them: to ignore one, to accept it, or neither any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from server.ingest.catalogue_editor import CatalogueEditor
from server.services.errors import NotFound
from server.services.listing import Listed, Row
from server.services.narrowing import Cursor, Narrowing
from server.services.proposals import Accepted, Proposals
from server.store import decisions, queries
from server.store.database import Database, Store
from server.store.decisions import Decision, State, identity
from server.store.queries import Filters

STATES: dict[str, str | None] = {"": "heard", "all": None}
"""What a list is asked for → the filter; any other is a state of that name."""
MAX_DIGITS = 18  # of a number that the store can hold


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A deviation with its API and, where it was accepted, the change of the specification."""

    deviation: Row
    api: Row | None
    proposal: Row | None


class Deviations:
    def __init__(
        self,
        store: Store,
        catalogue: CatalogueEditor,
        proposals: Proposals,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._proposals = proposals
        self._clock = clock

    def listed(self, narrowing: Narrowing, state: str, limit: int, after: Cursor | None) -> Listed[Row]:
        """Each once, most recently seen first. `state` is empty for all but ignored ones, or "all"."""
        with self._store.reading() as db:
            filters = narrowing.resolved(db)
            if filters is None:
                return Listed((), False)
            filters = replace(filters, state=STATES.get(state, state))
            return Listed.cut(queries.deviations(db, filters, limit + 1, after), limit)

    def reviewed(self, id: str) -> Reviewed:
        """A deviation as it is decided of. Raises NotFound."""
        with self._store.reading() as db:
            rows = queries.deviations(db, Filters(deviation=_number(id), state=None), 1, None)
            if not rows:
                raise NotFound("this deviation no longer exists")
            apis = queries.apis(db, Filters(api=rows[0]["api"]), 1, None)
            accepted = decisions.proposals(db, rows[0]["api"])
        wanted = identity(rows[0])
        proposal = next((one for one in accepted if identity(one) == wanted), None)
        return Reviewed(rows[0], apis[0] if apis else None, proposal)

    def ignore(self, id: str, reason: str, by: str | None) -> None:
        """It is no longer listed, nor does it count to the verdict of calls to come; it is still counted.
        Raises NotFound.
        """
        self._decide(self._row(id), Decision(State.IGNORED, reason, by, self._clock()))

    def accept(self, id: str, reason: str | None, by: str | None) -> Accepted:
        """Turns it into a change of the specification under which a call that shows it would conform.

        Raises NotFound, and Conflict where there is no such change.
        """
        row = self._row(id)
        spec, patch = self._proposals.found(row)
        decision = Decision(State.ACCEPTED, reason, by, self._clock(), spec, patch)
        self._decide(row, decision)
        return Accepted.of(
            {**row, "spec": spec, "patch": patch, "reason": reason, "by": by, "time": decision.time}
        )

    def undo(self, id: str) -> None:
        """It is open again. Raises NotFound."""
        self._decide(self._row(id), None)

    def _row(self, id: str) -> Row:
        number = _number(id)
        with self._store.reading() as db:
            row = decisions.deviation(db, number)
        if row is None:
            raise NotFound("no such deviation, or it no longer exists")
        return row

    def _decide(self, row: Row, decision: Decision | None) -> None:
        api, wanted = row["api"], identity(row)

        def work(db: Database) -> None:
            if decision is None:
                decisions.undo(db, api, wanted)
            else:
                decisions.decide(db, api, wanted, decision)
            self._catalogue.reread_ignored()

        self._store.write(work).result()


def _number(id: str) -> int:
    """Raises NotFound for what can be no deviation's id."""
    if not id.isdecimal() or len(id) > MAX_DIGITS:
        raise NotFound("no such deviation, or it no longer exists")
    return int(id)
