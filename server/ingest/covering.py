"""Coverage of live traffic: the parts of its operation that each validated exchange adds, by consumer."""

from __future__ import annotations

from collections.abc import Sequence

from agent.wire import Record
from server.analysis.coverage.counts import By, callers
from server.analysis.coverage.names import UNDESCRIBED
from server.analysis.coverage.parts import parts_of, undescribed_answer
from server.analysis.inventory import ConsumerKind
from server.analysis.specs.judging.judged import Judged
from server.analysis.views import in_order, most_seen
from server.ingest.catalogue_editor import CatalogueEditor
from server.store.draft import ExchangeDraft
from server.store.unit import Consumers
from server.store.values import Covered

_KINDS = {by: ConsumerKind(by) for by in By}


class Covering:
    """Runs on the writer's thread. Uses only an API's current specifications."""

    def __init__(self, consumers: Consumers, catalogue: CatalogueEditor) -> None:
        self._consumers, self._catalogue = consumers, catalogue

    def cover(self, records: Sequence[Record], api: int, operation: int, judged: Judged) -> Covered | None:
        """The parts that an exchange with these views exercises, as validated by one of them. If nothing
        describes it, that is its only part.
        """
        if judged.judgement.operation is None:
            return Covered(operation, (), (UNDESCRIBED + undescribed_answer(judged),))
        parts = parts_of(judged, self._catalogue.draft.outline(api))
        return Covered(operation, self._consumer_numbers(records), parts) if parts else None

    def recall(self, exchange: ExchangeDraft) -> Covered | None:
        """The parts that were counted for a stored exchange under its API's current specifications.

        They are not stored with the exchange, but computed again.
        """
        counted = exchange.counted
        if counted is None:
            return None
        views = in_order(exchange.records)
        ruling = self._catalogue.draft.judge(exchange.api, most_seen(views))
        return self.cover(views, exchange.api, counted.operation, ruling.judged) if ruling else None

    def _consumer_numbers(self, records: Sequence[Record]) -> tuple[int, ...]:
        number = self._consumers.number
        return tuple([number(_KINDS[by], name) for by, name in callers(records)])
