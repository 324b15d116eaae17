"""A batch → the store: known records dropped, views paired, exchanges counted, judged and kept.

Runs on the store's writer thread. What it learns of an exchange later (the other witness, the real
server behind an address, a specification) replaces what was counted of it before.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from agent.wire import Record
from server.analysis.inventory import caller, key_of, server_view
from server.analysis.latency import bucket_of
from server.analysis.paths import template
from server.analysis.specs.judging.masks import Masks
from server.analysis.specs.kinds import Verdict, Where
from server.analysis.specs.model import Judgement
from server.analysis.witnesses import SKEW_NS, Pending, mark_of, view_of
from server.catalogue import Ruling
from server.ingest.catalogue_editor import CatalogueEditor, Load
from server.ingest.covering import Covering
from server.ingest.decode import Delivery
from server.store.agents import Deliveries
from server.store.apis import Apis, Merge
from server.store.arrivals import Arrivals
from server.store.counters import Consumers, Contribution, Operations, Tally
from server.store.coverage import CoverageCounters, Covered
from server.store.database import Database
from server.store.exchanges import HOUR_NS, Exchange, Exchanges
from server.store.findings import Finding, Findings, Sighting, bounded
from server.store.merge import merge_apis

log = logging.getLogger(__name__)

WAITING_AFTER_RESTART = 5000  # views read back, so that halves on both sides of a restart still meet
MAX_METHOD = 32


NOT_FOUND = frozenset({400, 404, 405, 410, 501})  # nothing says that there is such an operation


class Received(StrEnum):
    """Where each record that arrived went."""

    STORED = "stored"  # a new exchange
    WITNESS = "witness"  # the other view of an exchange that was stored
    DUPLICATE = "duplicate"  # this record was stored before
    DUPLICATE_BATCH = "duplicate_batch"  # of a batch that was stored before


class Left(StrEnum):
    """What was left out at ingest, the exchange itself being stored."""

    DEVIATIONS = "deviations_over_bound"
    ENGINE = "matching_failed"
    COVERAGE = "coverage_failed"


class Acceptor:
    """All writer-side state; `forget` re-reads it after work was undone."""

    def __init__(self, db: Database, load: Load, stale: Callable[[int], None] = lambda api: None) -> None:
        self.apis = Apis(db)
        self.operations = Operations(db)
        self.consumers = Consumers(db)
        self.tally = Tally(db)
        self.findings = Findings(db)
        self.exchanges = Exchanges(db)
        self.catalogue = CatalogueEditor(db, load)
        self.coverage = CoverageCounters(db)
        self.covering = Covering(self.consumers, self.catalogue)
        self.deliveries = Deliveries(db)
        self.arrivals = Arrivals(db)
        self._db = db
        self._stale = stale
        self._open: dict[int, Exchange] = {}
        self._counts: Counter[str] = Counter()
        self._remember()

    def forget(self) -> None:
        """After work was undone: nothing in memory may know more than the database."""
        for part in (
            self.apis,
            self.operations,
            self.consumers,
            self.tally,
            self.findings,
            self.exchanges,
            self.coverage,
            self.arrivals,
        ):
            part.forget()
        self.catalogue.reread()
        self._open.clear()
        self._counts.clear()
        self._remember()

    def _remember(self) -> None:
        self._pending = Pending()
        views = self.exchanges.latest_waiting(WAITING_AFTER_RESTART)
        for view in views:
            self._pending.add(view)
        if len(views) == WAITING_AFTER_RESTART:
            self._pending.horizon = min(view.start for view in views)

    def accept(self, delivery: Delivery, now: int) -> dict[str, int]:
        """Stores a batch; how many records went where (keys are Received and Left)."""
        batch = delivery.batch
        if self.deliveries.seen(batch):
            self._counts[Received.DUPLICATE_BATCH] += len(batch.records)
        else:
            self.arrivals.note(now, self.exchanges.next)
            self._take_all(zip(batch.records, delivery.packed, strict=True))
            self.deliveries.note(batch, now)
        counts = dict(self._counts)
        self._counts.clear()
        self.deliveries.count(counts)
        return counts

    def _take_all(self, records: Iterable[tuple[Record, bytes]]) -> None:
        fresh: dict[str, tuple[Record, bytes]] = {}
        for record, raw in records:
            if record.id in fresh:
                self._counts[Received.DUPLICATE] += 1
            fresh.setdefault(record.id, (record, raw))
        known = self.exchanges.known(list(fresh))
        self._counts[Received.DUPLICATE] += len(known)
        for record, raw in fresh.values():
            if record.id not in known:
                self._take(record, raw)
        self._flush()

    def _take(self, record: Record, raw: bytes) -> None:
        number = self.exchanges.number()
        mark = mark_of(record)
        exchange = None if mark is None else self._other_half(record, number, mark)
        if exchange is None:
            exchange = Exchange(number=number, records=[record], raw=raw, mark=mark)
            self._open[number] = exchange
            self._counts[Received.STORED] += 1
        else:
            exchange.records.append(record)
            exchange.second, exchange.second_raw = number, raw
            self._counts[Received.WITNESS] += 1
        self._settle(exchange)

    def _other_half(self, record: Record, number: int, mark: int) -> Exchange | None:
        view = view_of(record, number, mark)
        late = view.start <= self._pending.horizon + SKEW_NS
        other = self._pending.take(view, self.exchanges.waiting_near(record.time, mark) if late else ())
        exchange = self._exchange(other.exchange) if other else None
        if exchange is None or exchange.second is not None:
            self._pending.add(view)
            return None
        return exchange

    def _exchange(self, number: int) -> Exchange | None:
        if number not in self._open:
            loaded = self.exchanges.load(number)
            if loaded is None:
                return None
            self._open[number] = loaded
        return self._open[number]

    def _flush(self) -> None:
        settled = [exchange for exchange in self._open.values() if exchange.counted is not None]
        self.exchanges.write(settled)
        for exchange in settled:
            del self._open[exchange.number]
        self.tally.flush()
        self.findings.flush()
        self.coverage.flush()

    def _settle(self, exchange: Exchange) -> None:
        """Decides API, operation, caller and verdict by all that is known now, and counts accordingly."""
        server = server_view(exchange.records)
        api, found = self.apis.resolve(server)
        merged = found is not None and self._merge(found)
        for record in exchange.records:
            if record is not server and key_of(record) != key_of(server):
                learnt = self.apis.learn(record, api)
                merged = (learnt is not None and self._merge(learnt)) or merged
        if merged:
            views = exchange.views
            exchange = self._exchange(exchange.number) or exchange
            exchange.views = views
        for record in exchange.records:
            self.apis.note_host(api, record)
        self._count(exchange, api)

    def _merge(self, merge: Merge) -> bool:
        self._flush()
        before = self.catalogue.draft.revision(merge.target)
        merge_apis(self._db, merge.source, merge.target)
        for part in (self.apis, self.operations, self.findings, self.coverage):
            part.forget()
        self.catalogue.reread()
        if self.catalogue.draft.revision(merge.target) != before:
            self.coverage.reset(merge.target)
        self._stale(merge.target)
        return True

    def _count(self, exchange: Exchange, api: int) -> None:
        """Replaces what was counted of an exchange by what is known of it now."""
        old, server = exchange.counted, server_view(exchange.records)
        covered = self._take_back(exchange)
        revision = self.catalogue.draft.revision(api)
        kept = (
            old is not None
            and (exchange.api, exchange.revision) == (api, revision)
            and old.verdict != Verdict.UNJUDGED
        )
        if old is None or not kept:
            operation, verdict = self._judge(exchange, api)
        else:
            operation, verdict = old.operation, old.verdict
            exchange.covered = self.covering.with_callers(covered, exchange.records)
        time = exchange.records[0].time
        exchange.api, exchange.revision, exchange.duration = api, revision, _duration(server)
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
            exchange.findings = tuple(f for f in exchange.findings if self._find(at, f))
        exchange.views = len(exchange.records)
        if exchange.covered is not None:
            self.coverage.add(exchange.covered)

    def _find(self, at: Sighting, finding: Finding) -> bool:
        kept = self.findings.add(at, finding)
        self._counts[Left.DEVIATIONS] += not kept
        return kept

    def _take_back(self, exchange: Exchange) -> Covered | None:
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

    def _judge(self, exchange: Exchange, api: int) -> tuple[int, str | None]:
        """The operation's number and the verdict; sets the exchange's findings."""
        record = most_seen(exchange.records)
        exchange.findings, exchange.why, exchange.deprecated, exchange.covered = (), None, False, None
        if record.request is None:
            return self.operations.unseen(api), None
        ruling = self._ruling(api, record)
        if ruling is None:
            return self._provisional(api, record), None
        judgement = ruling.judgement
        exchange.why, exchange.deprecated = judgement.why, judgement.deprecated
        if judgement.operation is None:
            operation = self._provisional(api, record)
        else:
            said = ruling.operation
            operation = self.operations.specified(
                api, judgement.operation, judgement.deprecated, said.operation_id if said else None
            )
        exchange.covered = self._covered(exchange, api, operation, record, judgement)
        key = self.operations.key(operation)
        exchange.findings = tuple(
            dict.fromkeys(bounded(key, d.kind, d.where, d.pointer, d.message) for d in judgement.deviations)
        )
        return operation, ruling.verdict

    def _ruling(self, api: int, record: Record) -> Ruling | None:
        try:
            return self.catalogue.draft.judge(api, record)
        except Exception as error:  # whatever the engine does with hostile input, the exchange is kept
            log.error("matching failed: %s", type(error).__name__)
            self._counts[Left.ENGINE] += 1
            return None

    def _covered(
        self, exchange: Exchange, api: int, operation: int, record: Record, judgement: Judgement
    ) -> Covered | None:
        try:
            return self.covering.cover(exchange.records, api, operation, record, judgement)
        except Exception as error:
            log.error("coverage failed: %s", type(error).__name__)
            self._counts[Left.COVERAGE] += 1
            return None

    def _provisional(self, api: int, record: Record) -> int:
        assert record.request is not None
        masked = Masks(record).segments() if any(mask.where == Where.PATH for mask in record.masks) else ()
        found = record.response is None or record.response.status not in NOT_FOUND
        return self.operations.provisional(
            api, record.request.method[:MAX_METHOD], template(record.request.path, masked), found
        )

    def begin_judging(self, api: int) -> None:
        """The API's specifications are about to change: every stored exchange is to be judged anew."""
        self.coverage.reset(api)
        self.operations.demote(api)
        self.apis.revise(api)

    def judge_again(self, api: int, limit: int) -> int:
        """Judges up to `limit` stored exchanges that were not judged as the API stands; how many it found."""
        numbers = self.exchanges.unjudged(api, self.catalogue.draft.revision(api), limit)
        for number in numbers:
            exchange = self._exchange(number)
            if exchange is not None:
                self._count(exchange, exchange.api)
        self._flush()
        return len(numbers)


def most_seen(records: Sequence[Record]) -> Record:
    """The view of which most was seen: that is the one to judge. The server's, if they are equal."""
    if len(records) == 1:
        return records[0]
    return max(records, key=lambda one: (_seen(one), -one.fields_unknown, one.side == "server"))


def _seen(record: Record) -> int:
    messages = (record.request, record.response)
    return sum(2 + (message.body.state == "complete") for message in messages if message is not None)


def _duration(record: Record) -> int | None:
    timing = record.timing
    if timing.request_start is None or timing.end is None or record.response is None:
        return None
    return max(0, timing.end - timing.request_start)


def _sighting(exchange: Exchange, counted: Contribution) -> Sighting:
    return Sighting(exchange.api, counted.consumer, counted.time, exchange.id, exchange.revision)
