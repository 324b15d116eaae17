"""The server's ingest over a store, without HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from agent.wire import Batch, Record, pack_record
from server.ingest.accept import Acceptor
from server.ingest.decode import Delivery
from server.store.filters import Filters
from server.store.sqlite.store import SqliteStore
from server.store.unit import Unit
from tests.server.engine import load
from tests.server.records import NOON
from tests.server.sql import database

T = TypeVar("T")
S = 1_000_000_000
TABLES = ("calls", "latency", "verdicts", "coverage", "deviation_calls", "operations", "deviations")


class Ingest:
    """An acceptor on a store, and a clock of which the test says how late it is (s since NOON)."""

    def __init__(self, data: Path) -> None:
        self.store = SqliteStore(data)
        self.acceptor = self.do(lambda unit: Acceptor(unit, load))
        self.store.on_undo(self.acceptor.forget)
        self.store.on_commit(self.acceptor.publish)
        self.at = 0.0
        self.seqs: dict[str, int] = {}

    def do(self, work: Callable[[Unit], T]) -> T:
        return self.store.write(work).result(60)

    def deliver(self, agent: str, *views: Record) -> dict[str, int]:
        delivery = self.batch(agent, *views)
        return self.do(lambda unit: self.acceptor.accept(delivery, self.now, self.at))

    def batch(self, agent: str, *views: Record, epoch: str = "epoch") -> Delivery:
        self.seqs[agent] = seq = self.seqs.get(agent, 0) + 1
        return Delivery(Batch(2, agent, epoch, seq, {}, views), tuple(pack_record(one) for one in views))

    def wait(self, seconds: float) -> None:
        self.at += seconds
        self.do(lambda unit: self.acceptor.settle_due(self.now, self.at))

    @property
    def now(self) -> int:
        return NOON + int(self.at * S)

    def views(self) -> list[list[str]]:
        """The ids of the views of each exchange."""
        with self.store.reading() as reader:
            rows = reader.exchanges.listed(Filters(), 1000, None).rows
        return sorted(sorted(view.id for view in row.views) for row in rows)

    def counts(self) -> dict[str, list[tuple[object, ...]]]:
        db = database(self.store)

        def read(table: str) -> list[tuple[object, ...]]:
            return sorted(map(tuple, db.execute(f"SELECT * FROM {table}")), key=repr)

        return self.do(lambda unit: {table: read(table) for table in TABLES})

    def rows(self, table: str) -> int:
        db = database(self.store)
        return self.do(lambda unit: int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]))
