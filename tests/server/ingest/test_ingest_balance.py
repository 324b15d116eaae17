"""Whatever arrives in any order, all counters equal the sum of the exchanges."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from agent.wire import Batch, Endpoint, Record, SubOperation, decode_record, pack_record
from server.analysis.coverage.counts import callers
from server.ingest.accept import Acceptor
from server.ingest.decode import Delivery
from server.ingest.holding import BACKLOG_S
from server.ingest.leftovers import settle_leftovers
from server.services.attaching import AttachTarget, attach
from server.store.sqlite.store import SqliteStore
from server.store.unit import Unit
from server.store.values import Upload
from tests.server.engine import load, spec
from tests.server.records import NETNS, NOON, record
from tests.server.sql import database, drop_oldest

T = TypeVar("T")
Counts = Counter[tuple[object, ...]]


def counted(db: sqlite3.Connection) -> dict[str, Counts]:
    """The counters by table."""

    def of(query: str) -> Counts:
        return Counter({tuple(key): count for *key, count in db.execute(query)})

    return {
        "operations": of("SELECT number, count FROM operations WHERE count <> 0"),
        "calls": of("SELECT operation, hour, consumer, status, verdict, fault, count FROM calls"),
        "latency": of("SELECT operation, bucket, sum(count) FROM latency GROUP BY 1, 2"),
        "verdicts": of("SELECT operation, verdict, count FROM verdicts"),
        "sub_operations": of("SELECT operation, protocol, kind, name, outcome, count FROM sub_operations"),
        "deviations": of(
            """SELECT api, operation, kind, pointer, consumer, count FROM deviation_calls
            JOIN deviations ON number = deviation"""
        ),
        "coverage": of(
            """SELECT operation, coalesce(kind, 'everyone'), sum(count) FROM part_counts
            LEFT JOIN consumers ON number = consumer WHERE part LIKE 'hits:%' GROUP BY 1, 2"""
        ),
    }


def expected(db: sqlite3.Connection) -> dict[str, Counts]:
    """The sum of the stored exchanges; their verdicts and deviations if validated under their API's current
    revision.
    """
    found: dict[str, Counts] = {name: Counter() for name in counted(db)}
    cursor = db.execute(
        """SELECT exchanges.*, apis.revision IN (exchanges.revision, ~exchanges.revision) AS current
        FROM exchanges JOIN apis ON apis.number = api"""
    )
    cursor.row_factory = sqlite3.Row
    for row in cursor:
        operation, hour = row["operation"], row["time"] // 3_600_000_000_000
        judged = (row["verdict"] or "", row["fault"] or "") if row["current"] else ("", "")
        found["operations"][(operation,)] += 1
        found["calls"][operation, hour, row["consumer"], row["status"], *judged] += 1
        if row["bucket"] is not None:
            found["latency"][operation, row["bucket"]] += 1
        if row["verdict"] is not None and row["current"]:
            found["verdicts"][operation, row["verdict"]] += 1
        for one in asked(db, row):
            outcome = {None: 2, True: 1, False: 0}[one.failed]
            found["sub_operations"][operation, one.protocol, one.kind, one.name, outcome] += 1
        for key, kind, _, pointer, _ in json.loads((row["current"] and row["deviations"]) or "[]"):
            found["deviations"][row["api"], key, kind, pointer, row["consumer"]] += 1
    found["coverage"] = covered(db)
    return found


def asked(db: sqlite3.Connection, row: sqlite3.Row) -> Sequence[SubOperation]:
    """The sub-operations of a stored exchange: the view that was answered knows more."""
    rows = db.execute("SELECT record FROM witnesses WHERE number IN (?, ?)", (row["number"], row["second"]))
    found = [decode_record(raw).sub_operations for (raw,) in rows]
    return max(found, key=lambda one: (len(one), [each.failed is not None for each in one]))


def covered(db: sqlite3.Connection) -> Counts:
    """The coverage of the exchanges validated under their API's current revision, by kind of consumer."""
    found: Counts = Counter()
    for number, second, operation in db.execute(
        """SELECT exchanges.number, second, operation FROM exchanges JOIN apis ON apis.number = api
        WHERE exchanges.revision = apis.revision AND verdict IS NOT NULL AND verdict <> 'shadow'"""
    ):
        rows = db.execute("SELECT record FROM witnesses WHERE number IN (?, ?)", (number, second))
        for kind in {"everyone", *(by for by, _ in callers([decode_record(raw) for (raw,) in rows]))}:
            found[operation, str(kind)] += 1
    return found


def traffic(chance: random.Random) -> list[Record]:
    """Views of calls to three servers, one of them behind an address that leads to another as well."""
    views = []
    for call in range(60):
        port = chance.choice([8080, 8081, 8082])
        source = Endpoint("127.0.0.1", 40000 + call, NETNS)
        path = chance.choice(["/users/1", "/users/2", "/admin", "/old", "/x"])
        called = Endpoint("10.96.0.1", 80) if port != 8080 and chance.random() < 0.5 else None
        status = chance.choice([200, 200, 404, None])
        for side in ("client", "server"):
            if chance.random() < 0.2:
                continue
            served = Endpoint("127.0.0.1", port, NETNS)
            end = called if called and side == "client" else served
            one = record(0, side, path, port=40000 + call, status=status, client=source, server=end)
            failed = None if status is None or side == "client" else status == 404
            subs = [SubOperation("graphql", "query", name, failed) for name in ("A", "B", "A")]
            one = replace(one, sub_operations=tuple(subs[: call % 4]))
            views.append(replace(one, time=NOON + chance.randrange(4) * 3_600_000_000_000))
            if chance.random() < 0.1:
                views.append(views[-1])
    chance.shuffle(views)
    return views


class Bench:
    """An acceptor with a store. Asserts after each step that the counters balance."""

    def __init__(self, data: Path) -> None:
        self.store = SqliteStore(data)
        self.stale: set[int] = set()
        self.seq = 0
        self.at = 0.0
        self.restart()

    def restart(self) -> None:
        self.acceptor = self.do(lambda unit: Acceptor(unit, load, self.stale.add))

    def do(self, work: Callable[[Unit], T]) -> T:
        return self.store.write(work).result()

    def deliver(self, views: list[Record]) -> None:
        self.seq += 1
        batch = Batch(1, "agent-1", "epoch-1", self.seq, {}, tuple(views))
        delivery = Delivery(batch, tuple(pack_record(one) for one in views))
        self.do(lambda unit: self.acceptor.accept(delivery, NOON, self.at))

    def wait(self, seconds: float) -> None:
        self.at += seconds
        self.do(lambda unit: self.acceptor.settle_due(NOON, self.at))

    def upload(self, raw: bytes, host: str) -> None:
        done = self.do(
            lambda unit: attach(unit, self.acceptor, Upload(raw), load(raw), AttachTarget(host=host), NOON)
        )
        self.stale.add(done.number)

    def judge(self, api: int) -> int:
        return self.do(lambda unit: self.acceptor.judge_again(api, 5))

    def balance(self) -> None:
        db = database(self.store)
        assert self.do(lambda unit: counted(db)) == self.do(lambda unit: expected(db))


SPECS = (
    (spec("GET /users/{id}", "!GET /old"), "127.0.0.1:8080"),
    (spec("GET /users/{id}", "GET /admin"), "127.0.0.1:8081"),
    (spec("GET /x"), "shop.local:8080"),
)


def run(bench: Bench, chance: random.Random, check: Callable[[], None]) -> None:
    """Delivers views and uploads specifications in any order, and checks after each step."""
    views, specs = traffic(chance), [*SPECS]
    while views:
        count = chance.randrange(1, 15)
        bench.deliver(views[:count])
        views = views[count:]
        if specs and chance.random() < 0.4:
            bench.upload(*specs.pop())
        if bench.stale and chance.random() < 0.5:
            bench.judge(min(bench.stale))
        bench.wait(chance.choice([0, 1, BACKLOG_S]))
        if chance.random() < 0.2:
            bench.restart()
        check()
    bench.wait(BACKLOG_S)
    for api in bench.stale:
        while bench.judge(api):
            pass
    check()


@pytest.mark.parametrize("seed", range(25))
def test_counters_equal_the_exchanges_whatever_comes_in_whatever_order(tmp_path: Path, seed: int) -> None:
    bench = Bench(tmp_path)
    run(bench, random.Random(seed), bench.balance)
    bench.store.close()


@pytest.mark.parametrize("seed", range(15))
def test_no_call_or_verdict_is_lost_or_made_up_when_exchanges_are_dropped(tmp_path: Path, seed: int) -> None:
    chance, bench = random.Random(seed), Bench(tmp_path)
    db = database(bench.store)

    def check() -> None:
        before = bench.do(lambda unit: counted(db))
        drop_oldest(bench.store, chance.randrange(4))
        assert bench.do(lambda unit: counted(db)) == before
        for api in bench.stale:
            bench.do(partial(settle_leftovers, acceptor=bench.acceptor, api=api))
        sums = bench.do(lambda unit: summed(db))
        assert sums["calls"] == sums["operations"]
        assert sums["judged"] == sums["verdicts"]

    run(bench, chance, check)
    waiting = (
        "SELECT 1 FROM exchanges JOIN apis ON apis.number = api WHERE exchanges.revision <> apis.revision"
    )
    assert not bench.do(lambda unit: db.execute(waiting).fetchall())
    unjudged = """SELECT count(*) FROM calls JOIN operations ON operations.number = operation
        WHERE verdict = '' AND kind <> 'unseen' AND api IN (SELECT api FROM specs)"""
    assert bench.do(lambda unit: db.execute(unjudged).fetchone()) == (0,)
    bench.store.close()


def summed(db: sqlite3.Connection) -> dict[str, Counts]:
    """Calls and judged calls by operation, by each of the tables that have them."""
    tables = counted(db)
    calls, judged = Counts(), Counts()
    for (operation, _, _, _, verdict, fault), count in tables["calls"].items():
        assert count > 0
        assert verdict or not fault
        calls[operation,] += count
        judged[operation, verdict] += count * bool(verdict)
    return {**tables, "calls": calls, "judged": +judged}


def test_calls_that_are_dropped_keep_their_hour_verdict_and_fault(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    run(bench, random.Random(7), lambda: None)
    db = database(bench.store)
    before = bench.do(lambda unit: expected(db))["calls"]
    assert len({fault for *_, fault in before}) > 1
    drop_oldest(bench.store, 1000)
    bench.deliver([record(n, path="/users/1", port=50_000 + n) for n in range(9)])
    bench.wait(BACKLOG_S)
    after = bench.do(lambda unit: expected(db))["calls"]
    assert after.total() == 9
    assert bench.do(lambda unit: counted(db))["calls"] == before + after
    bench.store.close()
