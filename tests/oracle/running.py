"""A server's ingest over a database, without HTTP. Each method is one piece of work, and the server may be
killed between any two: its memory is lost, and the database's files stay as they were.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from server.analysis.specs.load import load
from server.ingest.accept import Acceptor
from server.ingest.decode import Delivery
from server.ingest.leftovers import settle_leftovers
from server.services.attaching import AttachTarget, attach
from server.store.sqlite.connection import FILE
from server.store.sqlite.store import SqliteStore
from server.store.unit import Unit
from server.store.values import Upload
from tests.oracle.counters import counters
from tests.oracle.kinds import SPECIFICATION
from tests.oracle.model import Counts
from tests.server.sql import database

T = TypeVar("T")

SECOND = 1_000_000_000
TARGETS = (
    AttachTarget(workload="shop/orders"),
    AttachTarget(workload="shop/green"),
    AttachTarget(host="api.pay.example:443"),
)
"""The facts in `world.DESCRIBED`, one by one."""


class Undone(Exception):
    """Represents any failure within a piece of work."""


class Running:
    """`now` is the server's clock in ns."""

    def __init__(self, folder: Path, now: int) -> None:
        self._folder, self._lives = folder, 0
        self.now = now
        self._open(folder / "0")

    def _open(self, data: Path) -> None:
        self.store = SqliteStore(data)
        self.acceptor = self.store.begin(lambda unit: Acceptor(unit, load))
        self.store.on_undo(self.acceptor.forget)
        self.store.on_commit(self.acceptor.publish)

    def do(self, work: Callable[[Unit], T]) -> T:
        return self.store.write(work).result()

    def kill(self) -> None:
        """Abandons the server without closing or writing anything; another process opens the files as they
        are.
        """
        self._lives += 1
        data = self._folder / str(self._lives)
        data.mkdir()
        for file in self.store.path.parent.glob(f"{FILE}*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, data)
        self.store.close()
        shutil.rmtree(self.store.path.parent)
        self._open(data)

    def attach(self, target: AttachTarget) -> None:
        specification = load(SPECIFICATION)
        self.do(
            lambda unit: attach(unit, self.acceptor, Upload(SPECIFICATION), specification, target, self.now)
        )

    def deliver(self, delivery: Delivery) -> None:
        self.do(lambda unit: self.acceptor.accept(delivery, self.now, self.at))

    def deliver_in_vain(self, delivery: Delivery) -> None:
        """Fails before a batch is committed."""

        def work(unit: Unit) -> None:
            self.acceptor.accept(delivery, self.now, self.at)
            raise Undone

        try:
            self.do(work)
        except Undone:
            return
        raise AssertionError("work that failed was committed")

    def settle_due(self) -> None:
        self.do(lambda unit: self.acceptor.settle_due(self.now, self.at))

    def judge_again(self) -> None:
        """Re-validates some exchanges after specifications changed, as the jobs do."""
        for api in self._to_judge()[:1]:
            self._judge(api, 5)

    def _to_judge(self) -> Sequence[int]:
        return self.do(lambda unit: unit.apis.to_judge())

    def _judge(self, api: int, most: int) -> int:
        return self.do(lambda unit: self.acceptor.judge_again(api, most))

    @property
    def at(self) -> float:
        """A monotonic clock in s."""
        return self.now / SECOND

    def finish(self) -> Counts:
        """Settles all views and re-validates all exchanges. Returns the counters."""
        for _ in range(2):  # views held at the start begin to wait at the first call
            self.settle_due()
            self.now += 3600 * SECOND
        self.settle_due()
        while apis := self._to_judge():
            for api in apis:
                while self._judge(api, 200):
                    pass
                self.do(partial(settle_leftovers, acceptor=self.acceptor, api=api))
        return self.do(lambda unit: counters(database(self.store)))

    def close(self) -> None:
        self.store.close()
