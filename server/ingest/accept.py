"""A batch → the store: known records dropped, views paired, exchanges counted, judged and kept.

Runs on the store's writer thread. What it learns of an exchange later (the other view, the real server behind
an address, a specification) replaces what was counted of it before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from agent.wire import Record
from server.analysis.inventory import key_of
from server.analysis.specs.kinds import Verdict
from server.analysis.views import server_view
from server.ingest.catalogue_editor import CatalogueEditor
from server.ingest.counting import Counting
from server.ingest.decode import Delivery
from server.ingest.judging import ExchangeJudge
from server.ingest.outcomes import Received
from server.ingest.pairing import Pairing
from server.specification import Load
from server.store.draft import ExchangeDraft
from server.store.unit import Unit
from server.store.values import Merge


class Acceptor:
    """What ingest knows beside the store; `forget` reads it again after work was undone. `stale` is told of
    an API (its number) whose stored exchanges are to be judged again.
    """

    def __init__(self, unit: Unit, load: Load, stale: Callable[[int], None] = lambda api: None) -> None:
        self._unit = unit
        self._stale = stale
        self._counts: Counter[str] = Counter()
        self.catalogue = CatalogueEditor(unit, load)
        self.counting = Counting(unit, self.catalogue, self._counts)
        self.judge = ExchangeJudge(self.catalogue, unit.operations, self.counting.covering, self._counts)
        self.pairing = Pairing(unit.samples)

    def forget(self) -> None:
        """After work was undone: nothing in memory may know more than the store."""
        self._counts.clear()
        self.pairing.forget()
        self.catalogue.reread()

    def accept(self, delivery: Delivery, now: int) -> dict[str, int]:
        """Stores a batch; how many records went where (keys are Received and Left)."""
        batch = delivery.batch
        if self._unit.positions.seen(batch):
            self._counts[Received.DUPLICATE_BATCH] += len(batch.records)
        else:
            self._take_all(zip(batch.records, delivery.packed, strict=True), now)
            self._unit.positions.record(batch, now)
        counts = dict(self._counts)
        self._counts.clear()
        self._unit.positions.count(counts)
        return counts

    def _take_all(self, records: Iterable[tuple[Record, bytes]], now: int) -> None:
        fresh: dict[str, tuple[Record, bytes]] = {}
        for record, raw in records:
            if record.id in fresh:
                self._counts[Received.DUPLICATE] += 1
            fresh.setdefault(record.id, (record, raw))
        known = self._unit.samples.known(list(fresh))
        self._counts[Received.DUPLICATE] += len(known)
        new = [one for id, one in fresh.items() if id not in known]
        for number, (record, raw) in zip(self._unit.samples.numbers(len(new), now), new, strict=True):
            exchange, outcome = self.pairing.take(record, raw, number)
            self._counts[outcome] += 1
            self._settle(exchange)
        self._flush()

    def _flush(self) -> None:
        self.pairing.write()
        self.counting.flush()

    def _settle(self, exchange: ExchangeDraft) -> None:
        """Decides API, operation, caller and verdict by all that is known now, and counts accordingly."""
        server = server_view(exchange.records)
        api, found = self._unit.apis.resolve(server)
        merged = found is not None and self._merge(found)
        for record in exchange.records:
            if record is not server and key_of(record) != key_of(server):
                learnt = self._unit.apis.learn(record, api)
                merged = (learnt is not None and self._merge(learnt)) or merged
        if merged:
            views = exchange.views
            exchange = self.pairing.exchange(exchange.number) or exchange
            exchange.views = views
        for record in exchange.records:
            self._unit.apis.add_host(api, record)
        self._count(exchange, api)

    def _merge(self, merge: Merge) -> bool:
        self._flush()
        before = self.catalogue.draft.revision(merge.target)
        self._unit.merge(merge)
        self.catalogue.reread()
        if self.catalogue.draft.revision(merge.target) != before:
            self._unit.coverage.reset(merge.target)
        self._stale(merge.target)
        return True

    def _count(self, exchange: ExchangeDraft, api: int) -> None:
        """Replaces what was counted of an exchange by what is known of it now."""
        old, revision = exchange.counted, self.catalogue.draft.revision(api)
        covered = self.counting.take_back(exchange)
        same = (exchange.api, exchange.revision) == (api, revision)
        if old is not None and same and old.verdict != Verdict.UNJUDGED:
            operation, verdict = old.operation, old.verdict
            exchange.covered = self.counting.covering.with_callers(covered, exchange.records)
        else:
            operation, verdict = self.judge.judge(exchange, api)
        exchange.api, exchange.revision = api, revision
        self.counting.add(exchange, operation, verdict)

    def begin_judging(self, api: int) -> None:
        """The API's specifications are about to change: every stored exchange is to be judged anew."""
        self._unit.coverage.reset(api)
        self._unit.operations.demote(api)
        self._unit.apis.revise(api)

    def judge_again(self, api: int, limit: int) -> int:
        """Judges up to `limit` stored exchanges that were not judged as the API stands; how many it found."""
        revision = self.catalogue.draft.revision(api)
        numbers = self._unit.samples.unjudged(api, revision, limit)
        for number in numbers:
            exchange = self.pairing.exchange(number)
            if exchange is None:
                self._unit.samples.give_up(number, revision)
            else:
                self._count(exchange, exchange.api)
        self._flush()
        return len(numbers)
