"""The cost of matching and coverage per exchange: CPU time of the writer's thread, in one process.

Three stores take each batch in rotation: one without a specification, one without coverage, one with both.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median

from msgspec.structs import replace

from agent.wire import Body, Endpoint, Record, decode_record, pack_record
from server.analysis.json import Json, JsonObject
from server.analysis.specs.judging.judged import Judged
from server.analysis.specs.load import load
from server.ingest.accept import Acceptor
from server.ingest.covering import Covering
from server.ingest.decode import Delivery, decode
from server.ingest.holding import BACKLOG_S
from server.ingest.judging import ExchangeJudge
from server.ingest.outcomes import Outcomes
from server.services.attaching import AttachTarget, attach
from server.store.sqlite.store import SqliteStore
from server.store.unit import Unit
from server.store.values import Covered, Upload
from tests.bench.watch import workplace

STAGES = ("neither", "matching", "both")
NOW = 1_800_000_000 * 10**9
OPERATIONS, PODS = 40, 100


class NoCoverage(Covering):
    """Computes no coverage."""

    def cover(self, records: Sequence[Record], api: int, operation: int, judged: Judged) -> Covered | None:
        return None


class Ingest:
    """An acceptor with its store."""

    def __init__(self, store: SqliteStore, stage: str, specification: JsonObject, host: str) -> None:
        self._store = store
        self._acceptor = store.write(lambda unit: Acceptor(unit, load)).result()
        raw = json.dumps(specification).encode()

        def prepare(unit: Unit) -> None:
            acceptor = self._acceptor
            if stage != "neither":
                attach(unit, acceptor, Upload(raw), load(raw), AttachTarget(host=host), NOW)
            if stage == "matching":
                without = NoCoverage(unit.consumers, acceptor.catalogue)
                acceptor.settling.judge = ExchangeJudge(
                    acceptor.catalogue, unit.operations, without, Outcomes()
                )

        store.write(prepare).result()

    def cpu_us(self, delivery: Delivery) -> float:
        """Per exchange of a batch, without the commit."""

        def work(unit: Unit) -> int:
            began = time.thread_time_ns()
            self._acceptor.accept(delivery, NOW, 0.0)
            self._acceptor.settle_due(NOW, BACKLOG_S)
            return time.thread_time_ns() - began

        return self._store.write(work).result() / 1000 / len(delivery.batch.records)


@contextmanager
def _ingests(specification: JsonObject, host: str) -> Iterator[dict[str, Ingest]]:
    with workplace() as folder:
        stores = {stage: SqliteStore(_made(folder / stage)) for stage in STAGES}
        try:
            yield {name: Ingest(store, name, specification, host) for name, store in stores.items()}
        finally:
            for store in stores.values():
                store.close()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def added_us(sent: Sequence[bytes], specification: JsonObject, host: str) -> Mapping[str, float]:
    """The cost of matching, and the additional cost of coverage: the median over all batches except the
    first.
    """
    matching: list[float] = []
    coverage: list[float] = []
    with _ingests(specification, host) as ingests:
        for turn, raw in enumerate(sent[:-1]):  # the last batch is empty
            delivery = decode(raw, "zstd")
            order = STAGES[turn % 3 :] + STAGES[: turn % 3]
            spent = {stage: ingests[stage].cpu_us(delivery) for stage in order}
            matching.append(spent["matching"] - spent["neither"])
            coverage.append(spent["both"] - spent["matching"])
    return {"matching": median(matching[1:]), "coverage": median(coverage[1:])}


def varied(packed: Sequence[bytes], specification: JsonObject) -> tuple[list[bytes], JsonObject]:
    """The calls spread over 40 operations and 100 pods of 20 workloads, with optional fields, three in ten
    without a body; and their specification.
    """
    chance = Random(1)
    described = json.loads(json.dumps(specification))
    ((path, item),) = described["paths"].items()
    answers = {"200": item["post"]["responses"]["201"]}
    item["get"] = {"parameters": item["post"]["parameters"], "responses": answers}
    fields = described["components"]["schemas"]["Item"]["properties"]
    fields.update({f"extra{number}": {"type": "string"} for number in range(8)})
    described["paths"] = {path.replace("orders", f"orders{one}"): item for one in range(OPERATIONS)}
    return [pack_record(_altered(decode_record(one), chance)) for one in packed], described


def _altered(record: Record, chance: Random) -> Record:
    assert record.request is not None
    assert record.response is not None
    one = int(chance.paretovariate(0.8)) % OPERATIONS
    pod = int(chance.paretovariate(0.6)) % PODS
    asked = chance.random() < 0.3
    request = replace(
        record.request,
        path=record.request.path.replace(b"orders", b"orders%d" % one),
        method="GET" if asked else "POST",
        body=_body({}) if asked else _body({"customer": "c", "items": _items(chance)}),
    )
    response = replace(record.response, status=200 if asked else 201, body=_body({"items": _items(chance)}))
    client = Endpoint(f"10.0.0.{pod}", 4000, pod=f"p-{pod}", namespace="n", workload=f"Deployment/{pod // 5}")
    consumer = replace(record.consumer, user_agent=f"agent/{pod // 5}")
    return replace(record, request=request, response=response, client=client, consumer=consumer)


def _items(chance: Random) -> Json:
    names = [f"extra{number}" for number in range(8)]
    return [
        {"sku": "a", "quantity": 1, **{name: "x" for name in names if chance.random() < 0.5}}
        for _ in range(3)
    ]


def _body(value: JsonObject) -> Body:
    raw = json.dumps(value).encode() if value else b""
    return Body(len(raw), raw, "complete")
