"""Settles views that have waited long enough, even if no batch arrives."""

from __future__ import annotations

import time
from collections.abc import Callable

from server.background import BackgroundThread, Pace
from server.ingest.accept import Acceptor
from server.store.store import Store

TICK_S = 0.25  # between checks for held views
RETRY_S = 5.0  # after the store refused it


class SettleTicks:
    """Runs until `stop`. Views held then stay in the store until the next start."""

    def __init__(self, store: Store, acceptor: Acceptor, clock: Callable[[], int] = time.time_ns) -> None:
        self._store, self._acceptor, self._clock = store, acceptor, clock
        self.thread = BackgroundThread("settling", self._turn, TICK_S)

    def start(self) -> None:
        """Starts checking."""
        self.thread.start()

    def stop(self, seconds: float | None = None) -> None:
        """Finishes the current turn, unless that takes longer than `seconds`."""
        self.thread.stop(seconds)

    def _turn(self, asked: set[int]) -> Pace:
        if self._acceptor.held:
            self.thread.period = RETRY_S
            now, at = self._clock(), time.monotonic()
            self._store.write(lambda unit: self._acceptor.settle_due(now, at)).result()
            self.thread.period = TICK_S
        return Pace.WHEN_ASKED
