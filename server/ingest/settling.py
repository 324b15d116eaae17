"""Counts each exchange once: finds its API, operation, consumers and verdict.

The counts of an exchange are replaced when it changes: when its other view arrives late, its API is merged,
or the specifications change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.wire import Record
from server.analysis.inventory import key_of
from server.analysis.likeness import placed
from server.analysis.views import in_order, server_view
from server.ingest.catalogue_editor import CatalogueEditor
from server.ingest.counting import Counting
from server.ingest.judging import ExchangeJudge
from server.ingest.outcomes import Outcomes
from server.store.draft import ExchangeDraft
from server.store.unit import Unit
from server.store.values import Merge


class Settling:
    """Runs on the writer's thread. `stale` is called with the number of each API whose exchanges must be
    re-validated; `counts` receives what was left out, by Left.
    """

    def __init__(
        self, unit: Unit, catalogue: CatalogueEditor, counts: Outcomes, stale: Callable[[int], None]
    ) -> None:
        self._unit, self._catalogue, self._stale = unit, catalogue, stale
        self.counting = Counting(unit, catalogue, counts)
        self.judge = ExchangeJudge(catalogue, unit.operations, self.counting.covering, counts)
        self._counted: list[ExchangeDraft] = []  # counted, not written yet

    def forget(self) -> None:
        """Discards unwritten exchanges. Call it after work was undone."""
        self._counted.clear()

    def flush(self) -> None:
        """Writes the exchanges counted since the last flush, and the counters."""
        self._unit.samples.write(self._counted)
        self._counted.clear()
        self.counting.flush()

    def settle(self, exchange: ExchangeDraft) -> None:
        """Counts a new exchange."""
        self._count(exchange, self.find_api(exchange.records))

    def add_view(self, exchange: ExchangeDraft, record: Record, number: int) -> None:
        """Adds the other view of a stored exchange, and counts it from both."""
        api = self.find_api([*exchange.records, record])
        exchange = self._unit.samples.load(exchange.number) or exchange  # its API may have been merged
        self.counting.take_back(exchange)
        exchange.records.append(record)
        exchange.second = number
        self._count(exchange, api)

    def judge_again(self, exchange: ExchangeDraft) -> None:
        """Counts a stored exchange again under its API's current specifications."""
        self.counting.take_back(exchange)
        self._count(exchange, exchange.api)

    def find_api(self, records: Sequence[Record]) -> int:
        """Finds the API of these views; merges APIs that turn out to be the same."""
        views = placed(in_order(records))
        server = server_view(views)
        api, found = self._unit.apis.resolve(server)
        if found is not None:
            self._merge(found)
        for record in views:
            if record is not server and key_of(record) != key_of(server):
                learnt = self._unit.apis.learn(record, api)
                if learnt is not None:
                    self._merge(learnt)
        for record in views:
            self._unit.apis.add_host(api, record)
        return api

    def _merge(self, merge: Merge) -> None:
        self.flush()
        before = self._catalogue.draft
        self._unit.merge(merge)
        self._catalogue.reread()
        if self._catalogue.draft.revision(merge.target) != before.revision(merge.target):
            self.counting.begin_anew(merge.target)
        for identity in self._catalogue.draft.newly_ignored(merge.target, before):
            self._unit.samples.reconsider(merge.target, identity)
        self._stale(merge.target)

    def _count(self, exchange: ExchangeDraft, api: int) -> None:
        operation, verdict = self.judge.judge(exchange, api)
        exchange.api, exchange.revision = api, self._catalogue.draft.revision(api)
        self.counting.add(exchange, operation, verdict)
        self._counted.append(exchange)
