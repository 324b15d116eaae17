"""Background jobs of the server: re-validation of stored exchanges, and retention.

One thread schedules; the work is done by the store's writer in small pieces, between which ingest continues.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from server.background import BackgroundThread, Pace
from server.ingest.accept import Acceptor
from server.ingest.leftovers import settle_leftovers
from server.store.store import Store
from server.store.unit import Unit
from server.store.values import DAY_NS, RetentionBounds

log = logging.getLogger(__name__)

T = TypeVar("T")

PERIOD_S = 5.0  # between checks of age and size
JUDGED_AT_ONCE = 200  # exchanges re-validated in one piece of work
CALLERS_AT_ONCE = 1000
MAX_LONE_VIEWS = 100_000  # lone views kept for a late other half
LOW = 0.9  # beyond the bound in bytes, delete down to this share of it, not one by one


class Jobs:
    """Runs until `stop`; `judge_again` may be called from any thread."""

    def __init__(
        self, store: Store, bounds: RetentionBounds, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._store = store
        self._bounds = bounds
        self._clock = clock
        self.thread = BackgroundThread("jobs", self._turn, PERIOD_S)
        self._looked = False  # for exchanges that an earlier run left to re-validate
        self._tidied: int | None = None  # the day of the last tidying
        self.dropped = 0  # exchanges deleted by retention since the start
        self.given_up = 0  # lone views no longer kept, since there were more than MAX_LONE_VIEWS

    def start(self, acceptor: Acceptor) -> None:
        """Starts with the exchanges that an earlier run left to re-validate."""
        self._acceptor = acceptor
        self.thread.start(Pace.AT_ONCE)

    def judge_again(self, api: int) -> None:
        """Schedules the re-validation of an API (its number), whose specifications have changed."""
        self.thread.request(api)

    def stop(self, seconds: float | None = None) -> None:
        """Finishes the current piece of work, waiting at most the given seconds."""
        self.thread.stop(seconds)

    def _turn(self, stale: set[int]) -> Pace:
        left = set() if self._looked else set(self._do(lambda unit: unit.apis.to_judge()))
        for api in stale | left:
            self._judge(api)
        if self._looked or stale or left:
            self.enforce_retention()
        self._looked = True
        return Pace.WHEN_ASKED

    def _do(self, work: Callable[[Unit], T]) -> T:
        return self._store.write(work).result()

    def _judge(self, api: int) -> None:
        judged = 0
        while found := self._do(lambda unit: self._acceptor.judge_again(api, JUDGED_AT_ONCE)):
            judged += found
            if self.thread.stopping:
                return
        self._do(lambda unit: settle_leftovers(unit, self._acceptor, api))
        log.info("re-validated %d stored exchanges", judged)

    def enforce_retention(self) -> int:
        """Deletes exchanges that are too old or too many, and frees the space; returns how many
        were deleted.
        """
        self._tidy_once_a_day()
        self.given_up += self._do(self._expire)
        bound = self._bounds.bytes
        target = int(bound * LOW) if self._do(lambda unit: unit.retention.used_bytes()) > bound else bound
        dropped = 0
        while not self.thread.stopping:
            now = self._clock()
            gone = self._do(partial(self._drop_some, now=now, target=target))
            if not gone:
                break
            dropped += gone
        if dropped:
            while self._do(lambda unit: unit.retention.release_space()) and not self.thread.stopping:
                pass
            self._store.compact()
            log.info("retention: deleted %d exchanges, the oldest first", dropped)
        self.dropped += dropped
        return dropped

    def _expire(self, unit: Unit) -> int:
        now = self._clock()
        unit.watched.expire(now)
        unit.pods.expire(now)
        unit.routes.expire(now)
        return unit.lone_views.expire(now, MAX_LONE_VIEWS)

    def _drop_some(self, unit: Unit, now: int, target: int) -> int:
        return unit.retention.drop_some(self._bounds, now, target)

    def _tidy_once_a_day(self) -> None:
        today = self._clock() // DAY_NS
        if today != self._tidied:
            self._do(lambda unit: unit.retention.fold_hours(self._bounds, self._clock()))
            self._do(lambda unit: unit.positions.forget_starts(self._clock()))
            self.forget_callers()
            self._tidied = today

    def forget_callers(self) -> None:
        """Removes consumers that are no longer referenced."""
        with self._store.reading() as reader:
            unused = reader.inventory.unused_consumers()
        for start in range(0, len(unused), CALLERS_AT_ONCE):
            self._forget_callers(unused[start : start + CALLERS_AT_ONCE])

    def _forget_callers(self, numbers: Sequence[int]) -> None:
        self._do(lambda unit: unit.consumers.drop_unused(numbers))
