"""The agent's CPU for one view of an exchange, by stage, on one core.

Each stage is run over what the stage before it made of the same 4,000 views, so stages add up.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from functools import partial

import h11

from agent import wire
from agent.events import Chunk, Clock, Closed, Opened
from agent.http.connections import Connections, Seen
from agent.ledger import Ledger
from agent.pipeline import Pipeline, Place
from agent.probes import decode
from agent.probes.abi import parse
from agent.redact.apply import to_record
from agent.redact.policy import Policy
from agent.streams.table import Limits
from tests.bench.figures import Figure, alternating, cpu_us, ratios
from tests.bench.traffic import WORKLOADS, Call, raw_events

NEEDS_ROOT = False
VIEWS = 4000
KEY = bytes(range(32))
GOAL_US = 100.0

Event = Opened | Chunk | Closed


def decoded(raw: list[bytes]) -> list[Event]:
    """Ring to facts, as the live source does."""
    facts = [decode.fact(*parse(one)) for one in raw]
    return [fact for fact in facts if fact is not None]


def read(events: list[Event]) -> list[Seen]:
    """Facts to exchanges."""
    connections = Connections(Limits(), Policy().body_limit, Ledger())
    return [seen for event in events for seen in connections.feed(event)]


def pipeline() -> Pipeline:
    made = Pipeline(
        Place("agent-1", "node-1", None), Policy(), KEY, Ledger(), lambda connection, bucket: None, Limits()
    )
    assert not list(made.feed(Clock(0, "boot")))
    return made


def redacted(seen: list[Seen]) -> list[wire.Record]:
    """Exchanges to records."""
    sighting, policy = pipeline()._sighting, Policy()
    return [to_record(one.exchange, sighting(one), policy, KEY) for one in seen]


def packed(records: list[wire.Record]) -> list[bytes]:
    return [wire.pack_record(record) for record in records]


def whole(raw: list[bytes]) -> int:
    """All stages as the agent runs them."""
    stages, count = pipeline(), 0
    for one in raw:
        fact = decode.fact(*parse(one))
        assert fact is not None
        for record in stages.feed(fact):
            wire.pack_record(record)
            count += 1
    return count


def h11_alone(calls: list[Call]) -> None:
    """h11 reading the same messages, a connection for each: the yardstick."""
    for call in calls:
        server, client = h11.Connection(h11.SERVER), h11.Connection(h11.CLIENT)
        for connection, data in ((server, call.request), (client, call.response)):
            connection.receive_data(data)
            while connection.next_event() not in (h11.NEED_DATA, h11.PAUSED):
                pass


def stages(calls: list[Call]) -> dict[str, Callable[[], float]]:
    """Each stage's cost for one view, in µs."""
    raw = raw_events(calls)
    events = decoded(raw)
    seen = read(events)
    records = redacted(seen)
    assert len(records) == whole(raw) == VIEWS, "the workload is not read as it was written"
    work: dict[str, Callable[[], object]] = {
        "decode": partial(decoded, raw),
        "streams and HTTP": partial(read, events),
        "redact": partial(redacted, seen),
        "pack": partial(packed, records),
        "all stages": partial(whole, raw),
        "h11 alone on the same messages": partial(h11_alone, calls),
    }
    return {name: partial(cpu_us, one, VIEWS) for name, one in work.items()}


def figures(rounds: int) -> Iterator[Figure]:
    for name, made in WORKLOADS.items():
        work = stages([made(number) for number in range(VIEWS)])
        gc.collect()
        gc.freeze()
        costs = alternating(rounds, work)
        yardstick = costs.pop("h11 alone on the same messages")
        for stage, values in costs.items():
            goal = GOAL_US if stage == "all stages" else None
            yield Figure(f"h1 {name}: {stage}", "µs/view", values, at_most=goal)
        yield Figure(f"h1 {name}: h11 alone", "µs/view", yardstick, yardstick=True)
        yield Figure(f"h1 {name}: all stages ÷ h11 alone", "ratio", ratios(costs["all stages"], yardstick))
