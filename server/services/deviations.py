"""Deviations, and decisions on them: to ignore, to accept, or to undo that."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.analysis.specs.deviation import Deviation
from server.analysis.specs.excerpts import Excerpt, of_deviation
from server.analysis.views import most_seen
from server.ingest.catalogue_editor import CatalogueEditor
from server.services.errors import NotFound
from server.services.judged import judged_again
from server.services.narrowing import Cursor
from server.services.proposals import Proposals
from server.store.filters import DeviationsShown, Filters
from server.store.reader import Reader
from server.store.rows import (
    ApiRow,
    DeviationRow,
    DeviationState,
    ExchangeRow,
    KnownDeviation,
    Listed,
    Proposal,
    SpecTitle,
)
from server.store.store import Store
from server.store.unit import Unit
from server.store.values import DeviationDecision


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A deviation with its API and, if accepted, the change of the specification. `sample` is an exchange
    that shows it, None if that was deleted, and `shown` are its places in it; `excerpts` are parts of the
    specification with this `title`.
    """

    deviation: DeviationRow
    api: ApiRow | None
    proposal: Proposal | None
    sample: ExchangeRow | None
    shown: Sequence[Deviation]
    title: SpecTitle | None
    excerpts: Sequence[Excerpt]


class Deviations:
    """`judge_again` is called with an API (its number) of which stored exchanges must be re-validated."""

    def __init__(
        self,
        store: Store,
        catalogue: CatalogueEditor,
        proposals: Proposals,
        judge_again: Callable[[int], None],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._proposals = proposals
        self._judge_again = judge_again
        self._clock = clock

    def listed(self, filters: Filters, limit: int, after: Cursor | None) -> Listed[DeviationRow]:
        """Deviations, each once, most recently seen first."""
        with self._store.reading() as reader:
            return reader.deviations.listed(filters, limit, after)

    def reviewed(self, id: str) -> Reviewed:
        """A deviation for its page. Raises NotFound."""
        with self._store.reading() as reader:
            filters = Filters(deviation=_number(reader, id), state=DeviationsShown.ALL)
            rows = reader.deviations.listed(filters, 1, None).rows
            if not rows:
                raise NotFound("this deviation no longer exists")
            row = rows[0]
            accepted = reader.deviations.proposals(row.api)
            proposal = next((one for one in accepted if one.identity == row.identity), None)
            api = reader.inventory.api(row.api)
            sample = reader.exchanges.one(row.sample) if row.sample else None
        title, excerpts = self._described(row, sample)
        judged = judged_again(self._catalogue.published, sample) if sample else []
        shown = [one for one in judged if one.is_of(row.identity)]
        return Reviewed(row, api, proposal, sample, shown, title, excerpts)

    def _described(
        self, row: DeviationRow, sample: ExchangeRow | None
    ) -> tuple[SpecTitle | None, Sequence[Excerpt]]:
        """What the newest specification with the operation says there."""
        record = most_seen(sample.views) if sample else None
        for one in reversed(self._catalogue.published.of_api(row.api)):
            found = of_deviation(one.specification, row.identity, record)
            if found:
                said = one.specification
                return SpecTitle(one.stored.id, said.title, said.version), found
        return None, []

    def ignore(self, id: str, reason: str, by: str | None) -> None:
        """Ignores a deviation: it is no longer listed and does not affect verdicts, also of stored exchanges;
        it is still counted. Raises NotFound.
        """
        self._decide(self._known(id), DeviationDecision(DeviationState.IGNORED, reason, by, self._clock()))

    def accept(self, id: str, reason: str | None, by: str | None) -> Proposal:
        """Accepts a deviation: makes a change of the specification under which a call with it would conform.

        Raises NotFound, and Conflict if there is no such change.
        """
        known, now = self._known(id), self._clock()
        spec, patch = self._proposals.found(known)
        self._decide(known, DeviationDecision(DeviationState.ACCEPTED, reason, by, now, spec, patch))
        return Proposal(known.identity, spec, patch, reason, by, now)

    def undo(self, id: str) -> None:
        """Undoes the decision on a deviation, also for stored exchanges. Raises NotFound."""
        self._decide(self._known(id), None)

    def _known(self, id: str) -> KnownDeviation:
        with self._store.reading() as reader:
            known = reader.deviations.known(_number(reader, id))
        if known is None:
            raise NotFound("no such deviation, or it no longer exists")
        return known

    def _decide(self, known: KnownDeviation, decision: DeviationDecision | None) -> None:
        def work(unit: Unit) -> bool:
            before = self._catalogue.draft
            if decision is None:
                unit.decisions.undo(known.api, known.identity)
            else:
                unit.decisions.decide(known.api, known.identity, decision)
            self._catalogue.reread_ignored()
            now = self._catalogue.draft
            changed = [*now.newly_ignored(known.api, before), *before.newly_ignored(known.api, now)]
            for identity in changed:
                unit.samples.reconsider(known.api, identity)
            return bool(changed)

        if self._store.write(work).result():
            self._judge_again(known.api)


def _number(reader: Reader, id: str) -> int:
    """The number behind a deviation's id. Raises NotFound for an invalid id."""
    number = reader.deviations.number_of(id)
    if number is None:
        raise NotFound("no such deviation, or it no longer exists")
    return number
