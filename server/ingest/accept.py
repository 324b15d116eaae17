"""Stores a batch: drops duplicate records, pairs views, counts and validates exchanges.

Runs on the store's writer thread. A view is stored on arrival and counted once it is settled: with its other
half, or alone after waiting long enough (holding.py). If the other half arrives after that, the exchange is
counted again from both views.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from agent.wire import Batch, Record
from server.analysis.likeness import is_uncertain
from server.ingest.belonging import unmarked
from server.ingest.catalogue_editor import CatalogueEditor
from server.ingest.dating import is_possible, moved, newest_impossible
from server.ingest.decode import Delivery
from server.ingest.naming import named
from server.ingest.outcomes import IN_DOUBT, MISDATED, UNCERTAIN, CallsKey, Left, Outcomes, Received
from server.ingest.pairing import Arrival, LateView, Pairing, Settleable, arrived, newest
from server.ingest.settling import Settling
from server.specification import Load
from server.store.draft import ExchangeDraft
from server.store.errors import KeyCollision
from server.store.unit import Unit

log = logging.getLogger(__name__)

AT_ONCE = 2000  # views settled alone in one piece of work, in addition to the number of records delivered


class Acceptor:
    """Accepts batches and settles views. `stale` is called with the number of each API whose stored exchanges
    must be re-validated. Call `forget` after work was undone.

    Callers pass the time: `now` is wall time in ns, `at` monotonic time in s. `accept` settles the views that
    are due on arrival of a batch; call `settle_due` regularly to settle the ones that become due later.
    """

    def __init__(self, unit: Unit, load: Load, stale: Callable[[int], None] = lambda api: None) -> None:
        self._unit = unit
        self._counts = Outcomes()  # for the server's ledger
        self._uncommitted: Counter[str] = Counter()
        self._left_as_counted: set[str] = set()  # ids of exchanges
        self._watermark: int | None = None  # as of the last call of settle_due
        self.catalogue = CatalogueEditor(unit, load)
        self._pairing = Pairing(unit)
        self.settling = Settling(unit, self.catalogue, self._counts, stale)
        self.totals: Counter[str] = Counter()
        """Counts of committed work since the start, by Left, SettledBy, UNCERTAIN, IN_DOUBT and MISDATED.
        `totals` and `held` may be read by any thread.
        """
        self.calls: Counter[CallsKey] = Counter()
        """Exchanges that were settled since the start, as they were then. Copy it to read it."""
        self._uncommitted_calls: Counter[CallsKey] = Counter()
        self.publish()

    def forget(self) -> None:
        """Discards all state that is not in the store. Call it after work was undone."""
        self._counts.clear()
        self._uncommitted.clear()
        self._uncommitted_calls.clear()
        self.settling.forget()
        self._pairing.forget()
        self.catalogue.reread()

    def publish(self) -> None:
        """Makes committed changes visible to other threads. Call it after each commit."""
        self.catalogue.publish()
        self.totals.update(self._uncommitted)
        self._uncommitted.clear()
        self.calls.update(self._uncommitted_calls)
        self._uncommitted_calls.clear()
        self.held = len(self._pairing.holding)

    def watermark_age(self, now: int) -> float:
        """Seconds between `now` and the watermark; 0 if no view is held."""
        passed = self._watermark
        return 0.0 if passed is None or not self.held else max(0, now - passed) / 1e9

    def accept(self, delivery: Delivery, now: int, at: float) -> dict[str, int]:
        """Stores a batch and settles due views. Returns the number of records by Received.

        Raises KeyCollision; a retry leaves out the exchange that caused it.
        """
        batch = delivery.batch
        self._pairing.begin(now, at)
        if delivery.batch.residents is not None:
            self._unit.pods.record(delivery.batch.residents, now)
        if self._unit.positions.is_duplicate(batch):
            self._counts.count(Received.DUPLICATE_BATCH, cluster_of(batch), len(batch.records))
        else:
            new = self._new(delivery, now)
            whole = self._pairing.take(new, now)
            second = sum(one.exchange.second is not None or one.late is not None for one in whole)
            self._settle(whole)
            passed = newest(new) if batch.records else now - lag_ns(batch)
            cluster = self._unit.positions.record(batch, now)
            self._counts.count(Received.STORED, cluster, len(new) - second)
            self._counts.count(Received.WITNESS, cluster, second)
            self._counts.count(Received.DUPLICATE, cluster, len(batch.records) - len(new))
            self._pairing.holding.record_delivery(batch.agent, batch.epoch, passed, at, cluster)
        counts = {where.value: self._counts.total(where) for where in Received}
        self.settle_due(now, at, AT_ONCE + len(batch.records))
        return counts

    def settle_due(self, now: int, at: float, most: int = AT_ONCE) -> None:
        """Settles at most `most` of the views that have waited long enough. The next call continues."""
        self._watermark = self._pairing.holding.watermark(at)
        self._settle(self._pairing.due(now, at, most))
        self._pairing.write()
        self._finish()

    def _finish(self) -> None:
        """Writes all counts of this piece of work."""
        self.settling.flush()
        for cluster, counts in self._counts:
            self._unit.positions.count(counts, cluster)
        self._uncommitted.update({what: self._counts.total(what) for what in Left})
        self._counts.clear()

    def _new(self, delivery: Delivery, now: int) -> list[Arrival]:
        """Assigns numbers to the records that are not stored yet."""
        fresh: dict[str, tuple[Record, bytes]] = {}
        for record, raw in zip(delivery.batch.records, delivery.packed, strict=True):
            fresh.setdefault(record.id, named(record, raw, self._unit.pods))
        known = self._known(list(fresh), delivery.batch.cluster)
        new = self._dated([one for id, one in fresh.items() if id not in known], now)
        numbers = self._unit.samples.numbers(len(new), now)
        return [arrived(number, *one) for number, one in zip(numbers, new, strict=True)]

    def _dated(self, new: list[tuple[Record, bytes]], now: int) -> list[tuple[Record, bytes]]:
        newest_of_them = newest_impossible((record for record, _ in new), now)
        if newest_of_them is None:
            return new
        dated = [one if is_possible(one[0], now) else moved(one[0], newest_of_them, now) for one in new]
        self._uncommitted[MISDATED] += sum(one is not before for one, before in zip(dated, new, strict=True))
        return dated

    def _known(self, ids: Sequence[str], cluster: str | None) -> Collection[str]:
        """The ones of these ids whose records are stored: also before, by another token, without a mark."""
        known = self._unit.samples.known(ids)
        if cluster is None:
            return known
        before = unmarked(ids, cluster)
        return {*known, *(before[id] for id in self._unit.samples.known_of(cluster, list(before)))}

    def _settle(self, found: Iterable[Settleable]) -> None:
        for one in found:
            if one.gone and one.late is not None:
                self._leave_out_late(one.exchange, one.late)
                continue
            self._uncommitted[one.why] += 1
            self._uncommitted[UNCERTAIN] += one.late is None and is_uncertain(one.exchange.records)
            self._uncommitted[IN_DOUBT] += one.in_doubt
            if one.late is None:
                try:
                    self.settling.settle(one.exchange)
                    self._uncommitted_calls[CallsKey.of(one.exchange)] += 1
                except KeyCollision as error:  # the exchange is not counted at all
                    self._leave_out(one.exchange, error)
            elif one.exchange.id not in self._left_as_counted:
                with self._undoing_collisions(one.exchange.id):
                    self.settling.add_view(one.exchange, one.late.record, one.late.number)

    def _leave_out_late(self, gone: ExchangeDraft, late: LateView) -> None:
        """Handles the other view of an exchange that is not stored any more: it may still merge APIs."""
        self._counts.count(Left.GONE, late.record.cluster)
        self._unit.samples.remove_views([late.number])
        try:
            self.settling.find_api([*gone.records, late.record])
        except KeyCollision as error:
            log.error("APIs are not merged: %s", error)

    def _leave_out(self, exchange: ExchangeDraft, error: KeyCollision) -> None:
        self._counts.count(Left.COLLIDED, exchange.records[0].cluster)
        self._pairing.detach(exchange)
        log.error("an exchange is not counted: %s", error)

    @contextmanager
    def _undoing_collisions(self, id: str) -> Iterator[None]:
        """Handles a collision after a counted exchange was taken back: this piece of work must be undone, and
        the exchange stays as counted. The retry skips it.
        """
        try:
            yield
        except KeyCollision as error:
            self._left_as_counted.add(id)
            log.error("an exchange keeps its earlier counts: %s", error)
            raise

    def begin_judging(self, api: int) -> None:
        """Prepares a change of the API's specifications: every stored exchange will be re-validated."""
        self.settling.counting.begin_anew(api)
        self._unit.operations.demote(api)
        self._unit.apis.revise(api)

    def judge_again(self, api: int, limit: int) -> int:
        """Re-validates at most `limit` stored exchanges that predate the API's current revision. Returns how
        many it found.
        """
        revision = self.catalogue.draft.revision(api)
        numbers = self._unit.samples.unjudged(api, revision, limit)
        for number in numbers:
            exchange = self._unit.samples.load(number)
            if exchange is None or exchange.id in self._left_as_counted:
                self._unit.samples.mark_judged(number, revision)
                continue
            with self._undoing_collisions(exchange.id):
                self.settling.judge_again(exchange)
        self._finish()
        return len(numbers)


def cluster_of(batch: Batch) -> str | None:
    """The cluster that the batch names, or else its records."""
    return batch.cluster or (batch.records[0].cluster if batch.records else None)


def lag_ns(batch: Batch) -> int:
    """How long ago the oldest event occurred that the agent had not delivered, as far as it reports that."""
    return 0 if batch.capture is None else (batch.capture.lag_ms or 0) * 1_000_000
