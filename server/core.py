"""Wires the server without HTTP: the store's writer, ingest, learning and the jobs."""

from __future__ import annotations

import time

from server.background import BackgroundThread
from server.cluster.service_names import NoServiceNames, ServiceNames
from server.config import ServerSettings
from server.ingest.accept import Acceptor
from server.jobs import Jobs
from server.learning.learning import Learning
from server.settle_ticks import SettleTicks
from server.specification import Load
from server.store.errors import CURE, Damaged
from server.store.store import Store
from server.store.values import RetentionBounds

STORE_S = 4.0  # of the time to stop, reserved for the store


class Core:
    """The core over an open store, which it closes at the end. `load` reads specifications.

    Raises Damaged if the stored data cannot be read.
    """

    def __init__(self, settings: ServerSettings, store: Store, load: Load) -> None:
        self.store = store
        self.load = load
        self.learning = Learning(store)
        self.jobs = Jobs(store, RetentionBounds(settings.retention_days, settings.retention_bytes))
        self.acceptor = self._acceptor()
        self.settling = SettleTicks(store, self.acceptor)
        self.names: ServiceNames | NoServiceNames = NoServiceNames()
        if settings.cluster is not None:
            self.names = ServiceNames(settings.cluster, store)
        store.on_undo(self.acceptor.forget)
        store.on_commit(self.acceptor.publish)

    def _acceptor(self) -> Acceptor:
        try:
            return self.store.begin(lambda unit: Acceptor(unit, self.load, self.jobs.judge_again))
        except (ValueError, TypeError, LookupError) as error:
            raise Damaged(f"stored data cannot be read ({type(error).__name__}): {CURE}") from error

    def start(self) -> None:
        self.jobs.start(self.acceptor)
        self.learning.start()
        self.settling.start()
        self.names.start()

    def stop(self, seconds: float) -> None:
        """Finishes the current work and commits everything accepted; held views wait on after the next start.
        Work beyond the given seconds is left `unfinished`.
        """
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.ask_to_stop()
        self.names.stop(max(0.0, until - STORE_S - time.monotonic()))
        self.settling.stop(max(0.0, until - STORE_S - time.monotonic()))
        self.learning.stop(max(0.0, until - STORE_S - time.monotonic()))
        self.jobs.stop(max(0.0, until - STORE_S - time.monotonic()))
        self.store.close(max(0.0, until - time.monotonic()))

    @property
    def _threads(self) -> tuple[BackgroundThread, ...]:
        return self.learning.thread, self.jobs.thread, self.settling.thread, *self.names.threads

    def unfinished(self) -> list[str]:
        """The parts that still run or are open, for the log; does not wait."""
        found = [thread.name for thread in self._threads if thread.is_running]
        if not self.store.is_closed:
            found.append(f"the database's writer ({self.store.waiting} pieces of work wait)")
        return found
