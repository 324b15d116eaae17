"""The server's ingest: records per second of its CPU, over HTTP, with and without matching.

The records are the agent's own: one view of each exchange, or both views of half as many, from several
agents. The figures are the server process's CPU time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from functools import partial

import httpx
import msgpack
import zstandard

from agent.probes import decode
from agent.probes.abi import parse
from agent.wire import decode_record, pack_batch, pack_record
from server.analysis.json import JsonObject
from tests.bench import pairs, stages
from tests.bench.figures import Figure, alternating, cpu_us, ratios
from tests.bench.parts.agent import pipeline
from tests.bench.traffic import CONNECTIONS, fresh, raw_events
from tests.bench.watch import cpu_s, workplace
from tests.e2e import spectap

NEEDS_ROOT = False
RECORDS, AT_ONCE = 10_000, 500
GOAL = 10_000.0
COVERAGE_GOAL_US = 25.0
HOST = "orders.shop.local:8080"
ENCODED = {"Content-Type": "application/msgpack", "Content-Encoding": "zstd"}

BOTH = {"both off": "both views, matching off", "both on": "both views, matching and coverage on"}
"""Names of the figures (CPU time) of the cases with both views."""

SPECIFICATION: JsonObject = {
    "openapi": "3.0.3",
    "info": {"title": "Orders", "version": "1"},
    "paths": {
        "/v1/orders/{id}": {
            "post": {
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
                    {"name": "dry_run", "in": "query", "schema": {"type": "boolean"}},
                    {"name": "page", "in": "query", "schema": {"type": "integer"}},
                ],
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "required": ["customer", "items"],
                                "properties": {
                                    "customer": {"type": "string"},
                                    "note": {"type": "string"},
                                    "items": {
                                        "type": "array",
                                        "items": {"$ref": "#/components/schemas/Item"},
                                    },
                                },
                            }
                        }
                    }
                },
                "responses": {
                    "201": {
                        "description": "created",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "properties": {
                                        "id": {"type": "integer"},
                                        "items": {
                                            "type": "array",
                                            "items": {"$ref": "#/components/schemas/Item"},
                                        },
                                    },
                                }
                            }
                        },
                    }
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Item": {
                "type": "object",
                "required": ["sku", "quantity"],
                "properties": {
                    "sku": {"type": "string"},
                    "quantity": {"type": "integer", "minimum": 1},
                    "price": {"type": "number"},
                    "gift": {"type": "boolean"},
                },
            }
        }
    },
}


def records() -> list[bytes]:
    stages = pipeline()
    facts = (decode.fact(*parse(raw)) for raw in raw_events([fresh(number) for number in range(RECORDS)]))
    made = [stages.process(fact).records for fact in facts if fact is not None]
    return [pack_record(record) for records in made for record in records]


def batches(packed: list[bytes]) -> list[bytes]:
    """As the agent sends them, ending with an empty batch."""
    compress = zstandard.ZstdCompressor().compress
    return [
        compress(pack_batch("agent-1", "epoch", at // AT_ONCE + 1, {}, packed[at : at + AT_ONCE]))
        for at in range(0, len(packed) + AT_ONCE, AT_ONCE)
    ]


def paired(packed: list[bytes]) -> list[bytes]:
    """The same number of records: both views of half the calls, sent by several agents."""
    seen = [decode_record(one) for one in packed[: RECORDS // 2]]
    return [zstandard.ZstdCompressor().compress(one) for one in pairs.batches(seen, CONNECTIONS, AT_ONCE)]


def ingested(sent: list[bytes], matching: bool, calls: int) -> float:
    """Records per CPU second of a fresh server, which must count this many calls."""
    with workplace() as folder, spectap.serving(folder) as server:
        with httpx.Client(base_url=f"{server.url}/api/v1", trust_env=False, timeout=60) as client:
            if matching:
                made = client.post("/specs", params={"host": HOST}, content=json.dumps(SPECIFICATION))
                made.raise_for_status()
            before = cpu_s(server.process.pid)
            for batch in sent:
                client.post("/records", content=batch, headers=ENCODED).raise_for_status()
            server.process.wait_for(lambda: counted(server) == calls, "all calls")
            spent = cpu_s(server.process.pid) - before
        stored = server.get("/exchanges", limit=1)["items"][0]
        assert (stored["verdict"] is not None) == matching, stored["verdict"]
        return RECORDS / spent


def counted(server: spectap.Server) -> int:
    return sum(api["exchanges"] for api in server.items("/apis"))


def stored_alone(packed: list[bytes]) -> float:
    """msgpack and sqlite3 alone on the same records: unpack each and store it unchanged."""

    def work() -> None:
        with workplace() as folder:
            database = sqlite3.connect(folder / "records.db")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE records (id TEXT PRIMARY KEY, record BLOB)")
            for at in range(0, len(packed), AT_ONCE):
                rows = [(msgpack.unpackb(one)["id"], one) for one in packed[at : at + AT_ONCE]]
                with database:
                    database.executemany("INSERT INTO records VALUES (?, ?)", rows)
            database.close()

    return 1e6 / cpu_us(work, len(packed))


def figures(rounds: int) -> Iterator[Figure]:
    packed = records()
    assert len(packed) == RECORDS
    sent, both = batches(packed), paired(packed)
    speeds = alternating(
        rounds,
        {
            "off": partial(ingested, sent, False, RECORDS),
            "on": partial(ingested, sent, True, RECORDS),
            "both off": partial(ingested, both, False, RECORDS // 2),
            "both on": partial(ingested, both, True, RECORDS // 2),
            "alone": partial(stored_alone, packed),
        },
    )
    yield Figure("matching off", "records/CPU s", speeds["off"], at_least=GOAL)
    yield Figure("matching on", "records/CPU s", speeds["on"])
    yield Figure("msgpack and sqlite3 alone", "records/CPU s", speeds["alone"], yardstick=True)
    yield Figure("off ÷ msgpack and sqlite3 alone", "ratio", ratios(speeds["off"], speeds["alone"]))
    for case, name in BOTH.items():
        yield Figure(name, "µs/record", tuple(1e6 / speed for speed in speeds[case]))
        yield Figure(f"{name} ÷ msgpack and sqlite3 alone", "ratio", ratios(speeds["alone"], speeds[case]))
    yield from _added("", sent, SPECIFICATION, rounds)
    several, described = stages.varied(packed, SPECIFICATION)
    yield from _added(", many operations and consumers", batches(several), described, rounds)


def _added(what: str, sent: list[bytes], described: JsonObject, rounds: int) -> Iterator[Figure]:
    added = [stages.added_us(sent, described, HOST) for _ in range(rounds)]
    yield Figure(f"a match{what}", "µs", tuple(one["matching"] for one in added))
    coverage, goal = tuple(one["coverage"] for one in added), None if what else COVERAGE_GOAL_US
    yield Figure(f"coverage beside a match{what}", "µs", coverage, at_most=goal)
