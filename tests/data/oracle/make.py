"""Makes counters with the surrounding server, of calls that it counts correctly.

In a checkout of the revision: `.venv/bin/python -m tests.data.oracle.make NAME` writes NAME.json.gz beside
this file. The README says what was left out, and why.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from agent.wire import Record, pack_batch, pack_record
from server.analysis.specs.load import load
from server.store.sqlite.connection import FILE
from tests.oracle.batches import deliveries
from tests.oracle.calls import Call, Saw, traffic
from tests.oracle.counters import counters
from tests.oracle.frozen import FOLDER, World, keep
from tests.oracle.kinds import KINDS, SPECIFICATION
from tests.oracle.model import SEEN, Counts
from tests.oracle.world import DESCRIBED, NODES
from tests.server.records import MS
from tests.server.running import Client, serving, wait_for

WORLDS, CALLS = 4, 300
CENTURY_DAYS = 36_500.0

Batches = Sequence[Sequence[Record]]


def make(name: str) -> None:
    size = keep(FOLDER / f"{name}.json.gz", [world(seed) for seed in range(WORLDS)])
    sys.stdout.write(f"{name}: {size} bytes\n")


def world(seed: int) -> World:
    chance = random.Random(seed)
    calls = [plainer(call) for call in traffic(chance, CALLS)]
    skews = dict(zip(NODES, chance.sample((-900 * MS, 0, 900 * MS), len(NODES)), strict=True))
    batches = [one.batch.records for one in deliveries(chance, calls, skews)]
    chance.shuffle(batches)
    found = counted(batches)
    by_server = sorted((one for batch in batches for one in batch), key=lambda one: one.side != "server")
    again = counted([[one] for one in by_server])
    assert all(found[table] == again[table] for table in found if table not in SEEN)
    return World(skews, calls, again)


def plainer(call: Call) -> Call:
    """A call that both ends captured completely, if this server would count it by the end that arrived
    first.
    """
    if call.client_saw is None or call.server_saw is None:
        return call
    kind = KINDS[call.kind]
    is_judged_once = kind.body_unseen is not None and kind.body_unseen.verdict != "unjudged"
    if call.client_saw == Saw.UNANSWERED or (
        is_judged_once and Saw.BODY_UNSEEN in (call.client_saw, call.server_saw)
    ):
        return replace(call, client_saw=Saw.WHOLE, server_saw=Saw.WHOLE)
    return call


def counted(batches: Batches) -> Counts:
    """The counters of a new server after these batches."""
    with tempfile.TemporaryDirectory() as folder:
        with serving(Path(folder), load, retention_days=CENTURY_DAYS) as client:
            for target in DESCRIBED:
                client.http.post(f"/api/v1/specs?{target}", content=SPECIFICATION).raise_for_status()
            for seq, batch in enumerate(batches, 1):
                send(client, seq, batch)
            store = client.core.store
            wait_for(lambda: not store.write(lambda unit: unit.apis.to_judge()).result(), "judgement")
        with closing(sqlite3.connect(Path(folder) / FILE)) as db:
            return counters(db)


def send(client: Client, seq: int, batch: Sequence[Record]) -> None:
    raw = pack_batch(batch[0].agent, "epoch", seq, {}, [pack_record(one) for one in batch])
    client.http.post("/api/v1/records", content=raw).raise_for_status()


if __name__ == "__main__":
    make(sys.argv[1])
