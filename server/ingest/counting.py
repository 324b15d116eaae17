"""Adds exchanges to the counters. If an exchange changes, its old contribution is subtracted before the new
one is added, so totals always match the stored exchanges.

When an API's specifications change, its counts of verdicts, deviations and coverage begin anew: of an
exchange that is validated again, only the call is subtracted.
"""

from __future__ import annotations

from dataclasses import replace

from server.analysis.inventory import caller
from server.analysis.latency import bucket_of
from server.analysis.likeness import is_uncertain
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.views import duration_of, in_order, server_view, sub_operations
from server.ingest.catalogue_editor import CatalogueEditor
from server.ingest.covering import Covering
from server.ingest.outcomes import Left, Outcomes
from server.store.draft import ExchangeDraft
from server.store.unit import Unit
from server.store.values import Contribution, Occurrence


class Counting:
    """Runs on the writer's thread. `counts` receives the deviations that were left out, by Left."""

    def __init__(self, unit: Unit, catalogue: CatalogueEditor, counts: Outcomes) -> None:
        self._unit = unit
        self._catalogue = catalogue
        self._counts = counts
        self.covering = Covering(unit.consumers, catalogue)

    def flush(self) -> None:
        """Writes all changes since the last flush."""
        self._unit.calls.flush()
        self._unit.deviations.flush()
        self._unit.coverage.flush()

    def begin_anew(self, api: int) -> None:
        """Removes what depends on an API's specifications: they changed or are about to. Flush before."""
        self._unit.calls.reset_verdicts(api)
        self._unit.deviations.reset(api)
        self._unit.coverage.reset(api)

    def add(self, exchange: ExchangeDraft, operation: int, verdict: str | None) -> None:
        """Counts an exchange with its current verdict."""
        views = in_order(exchange.records)
        server = server_view(views)
        times = [view.time for view in views]
        exchange.duration = duration_of(server)
        exchange.counted = Contribution(
            operation=operation,
            consumer=self._unit.consumers.number(*caller(views)),
            status=server.response.status if server.response else None,
            time=min(times),
            bucket=None if exchange.duration is None else bucket_of(exchange.duration),
            verdict=verdict,
            fault=exchange.fault,
            last=max(times),
            uncertain=is_uncertain(views),
            sub_operations=sub_operations(views),
        )
        self._unit.calls.add(exchange.counted)
        if exchange.deviations:
            at = _occurrence(exchange, exchange.counted)
            exchange.deviations = {
                identity: message
                for identity, message in exchange.deviations.items()
                if self._is_stored(at, identity, message, views[0].cluster)
            }
        if exchange.covered is not None:
            self._unit.coverage.add(exchange.covered)

    def _is_stored(
        self, at: Occurrence, identity: DeviationIdentity, message: str, cluster: str | None
    ) -> bool:
        stored = self._unit.deviations.add(at, identity, message)
        if not stored:
            self._counts.count(Left.DEVIATIONS, cluster)
        return stored

    def take_back(self, exchange: ExchangeDraft) -> None:
        """Subtracts what was counted of a stored exchange. Call it before the exchange changes."""
        if exchange.counted is None:
            return
        if exchange.revision != self._catalogue.draft.revision(exchange.api):
            self._unit.calls.add(replace(exchange.counted, verdict=None, fault=None), -1)
            return
        self._unit.calls.add(exchange.counted, -1)
        at = _occurrence(exchange, exchange.counted)
        for identity in exchange.deviations:
            self._unit.deviations.take_back(at, identity)
        covered = self.covering.recall(exchange)
        if covered is not None:
            self._unit.coverage.add(covered, -1)


def _occurrence(exchange: ExchangeDraft, counted: Contribution) -> Occurrence:
    newest = max(exchange.records, key=lambda view: (view.time, view.id))
    return Occurrence(
        exchange.api, counted.consumer, counted.time, newest.id, exchange.revision, counted.last
    )
