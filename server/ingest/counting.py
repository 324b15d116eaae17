"""What an exchange adds to the counters. When more is known of it, the old contribution is taken back and the
new one added, so that totals always equal the exchanges.
"""

from __future__ import annotations

from collections import Counter

from server.analysis.inventory import caller
from server.analysis.latency import bucket_of
from server.analysis.views import duration_of, most_seen, server_view
from server.ingest.catalogue_editor import CatalogueEditor
from server.ingest.covering import Covering
from server.ingest.outcomes import Left
from server.store.counters import Consumers, Contribution, Tally
from server.store.coverage import CoverageCounters, Covered
from server.store.database import Database
from server.store.exchanges import HOUR_NS, Exchange
from server.store.findings import Finding, Findings, Sighting


class Counting:
    """Writer's thread. `counts` takes deviations that were left out, by Left."""

    def __init__(self, db: Database, catalogue: CatalogueEditor, counts: Counter[str]) -> None:
        self.consumers = Consumers(db)
        self.tally = Tally(db)
        self.findings = Findings(db)
        self.coverage = CoverageCounters(db)
        self.covering = Covering(self.consumers, catalogue)
        self._counts = counts

    def forget(self) -> None:
        """After work was undone: nothing in memory may know more than the database."""
        for part in (self.consumers, self.tally, self.findings, self.coverage):
            part.forget()

    def flush(self) -> None:
        """Writes what was added and taken back since."""
        self.tally.flush()
        self.findings.flush()
        self.coverage.flush()

    def add(self, exchange: Exchange, operation: int, verdict: str | None) -> None:
        """Counts an exchange as it is judged now."""
        server = server_view(exchange.records)
        time = exchange.records[0].time
        exchange.duration = duration_of(server)
        exchange.counted = Contribution(
            operation=operation,
            consumer=self.consumers.number(*caller(exchange.records)),
            status=server.response.status if server.response else 0,
            time=time,
            hour=time // HOUR_NS,
            bucket=None if exchange.duration is None else bucket_of(exchange.duration),
            verdict=verdict,
        )
        self.tally.add(exchange.counted)
        if exchange.findings:
            at = _sighting(exchange, exchange.counted)
            exchange.findings = tuple(one for one in exchange.findings if self._find(at, one))
        exchange.views = len(exchange.records)
        if exchange.covered is not None:
            self.coverage.add(exchange.covered)

    def _find(self, at: Sighting, finding: Finding) -> bool:
        kept = self.findings.add(at, finding)
        self._counts[Left.DEVIATIONS] += not kept
        return kept

    def take_back(self, exchange: Exchange) -> Covered | None:
        """Takes back what was counted of an exchange; which parts of its operation those were."""
        if exchange.counted is None:
            return None
        self.tally.add(exchange.counted, -1)
        at = _sighting(exchange, exchange.counted)
        for finding in exchange.findings:
            self.findings.add(at, finding, -1)
        covered = self.covering.recall(exchange, most_seen(exchange.records[: exchange.views]))
        if covered is not None:
            self.coverage.add(covered, -1)
        return covered


def _sighting(exchange: Exchange, counted: Contribution) -> Sighting:
    return Sighting(exchange.api, counted.consumer, counted.time, exchange.id, exchange.revision)
