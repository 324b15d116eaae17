"""The batches in which agents deliver their views, in the order in which each agent's calls ended."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from agent.wire import VERSION, Batch, Record, pack_record
from server.ingest.decode import Delivery
from tests.oracle.calls import Call
from tests.oracle.views import Skews, views

SIZES = (1, 5, 20, 60)


def delivered(records: Sequence[Record], epoch: str, seq: int) -> Delivery:
    """A batch of these records of one agent, as decoded from the wire."""
    batch = Batch(VERSION, records[0].agent, epoch, seq, {}, tuple(records))
    return Delivery(batch, tuple(pack_record(one) for one in records))


def deliveries(chance: random.Random, calls: Iterable[Call], skews: Skews) -> list[Delivery]:
    """Every batch of every agent, each once. An agent may restart with a new epoch."""
    by_agent: dict[str, list[Record]] = {}
    for call in calls:
        for record in views(call, skews):
            by_agent.setdefault(record.agent, []).append(record)
    found = []
    for agent in sorted(by_agent):
        records = sorted(by_agent[agent], key=lambda one: one.timing.end or one.time)
        found += _cut(chance, records)
    return found


def _cut(chance: random.Random, records: list[Record]) -> list[Delivery]:
    found = []
    epoch, seq, at = 1, 0, 0
    while at < len(records):
        if chance.random() < 0.05:
            epoch, seq = epoch + 1, 0
        seq += 1
        size = chance.choice(SIZES)
        found.append(delivered(records[at : at + size], f"epoch-{epoch}", seq))
        at += size
    return found


def nothing(agent: str, epoch: str) -> Delivery:
    """A batch without records."""
    return Delivery(Batch(VERSION, agent, epoch, 1, {}, ()), ())
