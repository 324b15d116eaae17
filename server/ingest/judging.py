"""Validates an exchange: finds its operation, verdict, deviations and the exercised parts of the
operation.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from agent.wire import Record
from server.analysis.paths import template
from server.analysis.specs.judging.judged import Judged
from server.analysis.specs.judging.masks import Masks
from server.analysis.specs.kinds import Where
from server.analysis.views import in_order, most_seen
from server.catalogue import Ruling
from server.ingest.catalogue_editor import CatalogueEditor
from server.ingest.covering import Covering
from server.ingest.outcomes import Left, Outcomes
from server.store.draft import ExchangeDraft
from server.store.unit import Operations
from server.store.values import Covered

log = logging.getLogger(__name__)

MAX_METHOD = 32
NOT_FOUND = frozenset({400, 404, 405, 410, 501})  # the operation is not known to exist


class ExchangeJudge:
    """Runs on the writer's thread. `counts` receives failures, by Left."""

    def __init__(
        self, catalogue: CatalogueEditor, operations: Operations, covering: Covering, counts: Outcomes
    ) -> None:
        self._catalogue = catalogue
        self._operations = operations
        self._covering = covering
        self._counts = counts

    def judge(self, exchange: ExchangeDraft, api: int) -> tuple[int, str | None]:
        """The operation's number and the verdict. Sets the exchange's deviations and its coverage."""
        views = in_order(exchange.records)
        record = most_seen(views)
        exchange.deviations, exchange.why, exchange.deprecated, exchange.covered = {}, None, False, None
        exchange.fault = None
        if record.request is None:
            return self._operations.unseen(api), None
        ruling = self._ruling(api, record)
        if ruling is None:
            return self._provisional(api, record), None
        judgement = ruling.judgement
        exchange.why, exchange.deprecated, exchange.fault = judgement.why, judgement.deprecated, ruling.fault
        operation = self._operation(api, record, ruling)
        exchange.covered = self._covered(views, api, operation, ruling.judged)
        key = self._operations.key_of(operation)
        exchange.deviations = {one.identity(key): one.message for one in judgement.deviations}
        return operation, ruling.verdict

    def _operation(self, api: int, record: Record, ruling: Ruling) -> int:
        judgement, described = ruling.judgement, ruling.operation
        if judgement.operation is None:
            return self._provisional(api, record)
        return self._operations.specified(
            api, judgement.operation, judgement.deprecated, described.operation_id if described else None
        )

    def _provisional(self, api: int, record: Record) -> int:
        """The provisional operation for the path's template; CONNECT has none."""
        assert record.request is not None
        if record.request.method == "CONNECT":
            return self._operations.unseen(api)
        masked = Masks(record).segments() if any(mask.where == Where.PATH for mask in record.masks) else ()
        found = record.response is None or record.response.status not in NOT_FOUND
        return self._operations.provisional(
            api, record.request.method[:MAX_METHOD], template(record.request.path, masked), found
        )

    def _ruling(self, api: int, record: Record) -> Ruling | None:
        try:
            return self._catalogue.draft.judge(api, record)
        except Exception as error:  # hostile input may fail in any way; the exchange is stored regardless
            log.error("matching failed: %s", type(error).__name__)
            self._counts.count(Left.ENGINE, record.cluster)
            return None

    def _covered(self, views: Sequence[Record], api: int, operation: int, judged: Judged) -> Covered | None:
        try:
            return self._covering.cover(views, api, operation, judged)
        except Exception as error:  # as above
            log.error("coverage failed: %s", type(error).__name__)
            self._counts.count(Left.COVERAGE, views[0].cluster)
            return None
