"""A batch → the store: known records dropped, views paired, exchanges counted, judged and kept.

Runs on the store's writer thread. A view is stored when it comes, and counted once it is settled: with its
other half, or alone when it has waited long enough (holding.py). If the other half comes later still, both
replace what was counted.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from agent.wire import Record
from server.ingest.catalogue_editor import CatalogueEditor
from server.ingest.decode import Delivery
from server.ingest.outcomes import Left, Received
from server.ingest.pairing import Arrival, Pairing, Settleable, arrived, newest
from server.ingest.settling import Settling
from server.specification import Load
from server.store.errors import KeyCollision
from server.store.unit import Unit

log = logging.getLogger(__name__)

AT_ONCE = 2000  # views settled alone in one piece of work, beside as many as it brought


class Acceptor:
    """What ingest knows beside the store; `forget` reads it again after work was undone. `stale` is told of
    an API (its number) whose stored exchanges are to be judged again.

    Time is passed in: `now` is wall time in ns, `at` a monotonic one in s. `accept` settles what is due when
    a batch comes; `settle_due`, to be called every now and then, what is due later.
    """

    def __init__(self, unit: Unit, load: Load, stale: Callable[[int], None] = lambda api: None) -> None:
        self._unit = unit
        self._counts: Counter[str] = Counter()  # for the ledger
        self._uncommitted: Counter[str] = Counter()
        self._kept_as_they_are: set[str] = set()  # exchanges, by id
        self._watermark: int | None = None  # of the last look
        self.catalogue = CatalogueEditor(unit, load)
        self._pairing = Pairing(unit)
        self.settling = Settling(unit, self.catalogue, self._counts, stale)
        self.totals: Counter[str] = Counter()
        """Of what was committed since the start, by Left and SettledBy; for any thread, as `held`."""
        self.publish()

    def forget(self) -> None:
        """After work was undone: nothing in memory may know more than the store."""
        self._counts.clear()
        self._uncommitted.clear()
        self.settling.forget()
        self._pairing.forget()
        self.catalogue.reread()

    def publish(self) -> None:
        """After a commit: other threads get to know what was written."""
        self.catalogue.publish()
        self.totals.update(self._uncommitted)
        self._uncommitted.clear()
        self.held = len(self._pairing.holding)

    def watermark_age(self, now: int) -> float:
        """How long before `now` calls ended that all active agents have delivered (s); 0 if none is held."""
        passed = self._watermark
        return 0.0 if passed is None or not self.held else max(0, now - passed) / 1e9

    def accept(self, delivery: Delivery, now: int, at: float) -> dict[str, int]:
        """Stores a batch and settles what is due; how many records went where (by Received).

        Raises KeyCollision for an exchange that is left out when this is done again.
        """
        batch = delivery.batch
        self._pairing.begin(now, at)
        if self._unit.positions.seen(batch):
            self._counts[Received.DUPLICATE_BATCH] += len(batch.records)
        else:
            new = self._new(zip(batch.records, delivery.packed, strict=True), now)
            whole = self._pairing.take(new, now)
            second = sum(one.exchange.second is not None or one.late is not None for one in whole)
            self._counts[Received.STORED] += len(new) - second
            self._counts[Received.WITNESS] += second
            self._settle(whole)
            passed = newest(new) if batch.records else now
            self._pairing.holding.heard(batch.agent, batch.epoch, passed, at)
            self._unit.positions.record(batch, now)
        counts = {where.value: self._counts[where] for where in Received}
        self.settle_due(now, at, AT_ONCE + len(batch.records))
        return counts

    def settle_due(self, now: int, at: float, most: int = AT_ONCE) -> None:
        """Settles views that have waited long enough, up to so many; the others, when it is called again."""
        self._watermark = self._pairing.holding.watermark(at)
        self._settle(self._pairing.due(now, at, most))
        self._pairing.write()
        self._finish()

    def _finish(self) -> None:
        """Writes what was counted in this piece of work."""
        self.settling.flush()
        self._unit.positions.count(self._counts)
        self._uncommitted.update({what: self._counts[what] for what in Left})
        self._counts.clear()

    def _new(self, records: Iterable[tuple[Record, bytes]], now: int) -> list[Arrival]:
        """The records that are not stored yet, numbered."""
        fresh: dict[str, tuple[Record, bytes]] = {}
        for record, raw in records:
            if record.id in fresh:
                self._counts[Received.DUPLICATE] += 1
            fresh.setdefault(record.id, (record, raw))
        known = self._unit.samples.known(list(fresh))
        self._counts[Received.DUPLICATE] += len(known)
        new = [one for id, one in fresh.items() if id not in known]
        numbers = self._unit.samples.numbers(len(new), now)
        return [arrived(number, *one) for number, one in zip(numbers, new, strict=True)]

    def _settle(self, found: Iterable[Settleable]) -> None:
        for one in found:
            self._uncommitted[one.why] += 1
            if one.late is None:
                try:
                    self.settling.settle(one.exchange)
                except KeyCollision as error:  # nothing of it is counted
                    self._leave_out(error)
            elif one.exchange.id not in self._kept_as_they_are:
                with self._undoing_collisions(one.exchange.id):
                    self.settling.add_view(one.exchange, one.late.record, one.late.number)

    def _leave_out(self, error: KeyCollision) -> None:
        self._counts[Left.COLLIDED] += 1
        log.error("an exchange is not counted: %s", error)

    @contextmanager
    def _undoing_collisions(self, id: str) -> Iterator[None]:
        """A counted exchange that would be counted under the number of something else stays as it is: this
        piece of work, which has taken it back, is undone; when it is done again, the exchange is passed over.
        """
        try:
            yield
        except KeyCollision as error:
            self._kept_as_they_are.add(id)
            log.error("an exchange stays as it was counted: %s", error)
            raise

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
            exchange = self._unit.samples.load(number)
            if exchange is None or exchange.id in self._kept_as_they_are:
                self._unit.samples.give_up(number, revision)
                continue
            with self._undoing_collisions(exchange.id):
                self.settling.judge_again(exchange)
        self._finish()
        return len(numbers)
