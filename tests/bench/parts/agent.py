"""The agent's CPU for one view of an exchange, by stage, over HTTP/1.1 and HTTP/2.

Each stage is run over what the stage before it made of the same 4,000 views, so stages add up.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Iterator
from functools import partial

import h11
from hpack import Decoder
from hyperframe.frame import Frame, HeadersFrame

from agent import wire
from agent.events import Chunk, Clock, Closed, Opened
from agent.http.connections import ObservedExchange, connections
from agent.http.h2.frames import PREFACE
from agent.ledger import Ledger
from agent.pipeline import Pipeline, turns
from agent.probes import decode
from agent.probes.abi import parse
from agent.redact.policy import Policy
from agent.redact.redactor import Redactor
from agent.streams.conversation import Dismissed
from agent.streams.table import Limits
from agent.views import Origin
from tests.bench.figures import Figure, alternating, cpu_us, ratios
from tests.bench.traffic import CONNECTIONS, WORKLOADS, Call, over_http2, raw_events

NEEDS_ROOT = False
VIEWS = 4000
KEY = bytes(range(32))
GOAL_US = 100.0
ALL, YARDSTICK = "all stages but drain", "yardstick"
SLOT = 4096  # size of an event in memory, rounded up
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

Event = Opened | Chunk | Closed


def drained(raw: list[bytes]) -> list[bytes]:
    """Events passed one by one from C, as libbpf does for the ring; here by libc's lfind."""
    taken: list[bytes] = []
    joined = b"".join(one.ljust(SLOT, b"\0") for one in raw)
    sizes = iter([len(one) for one in raw])

    def take(_key: int, data: int) -> int:
        taken.append(ctypes.string_at(data, next(sizes)))
        return 1

    count = ctypes.c_size_t(len(raw))
    ctypes.CDLL(None).lfind(b"", joined, ctypes.byref(count), ctypes.c_size_t(SLOT), CALLBACK(take))
    return taken


def decoded(raw: list[bytes]) -> list[Event]:
    """Ring to facts, as in the live source."""
    facts = [decode.fact(*parse(one)) for one in raw]
    return [fact for fact in facts if isinstance(fact, Event)]


def read(events: list[Event]) -> list[ObservedExchange]:
    """Facts to exchanges."""
    table = connections(Limits(), Policy().body_limit, Ledger())
    return [fact for event in events for fact in table.feed(event) if not isinstance(fact, Dismissed)]


def pipeline() -> Pipeline:
    made = Pipeline(Origin("agent-1", "node-1", None), Policy(), Redactor(Policy(), KEY), Ledger(), Limits())
    assert not made.process(Clock(0, "boot")).records
    return made


def redacted(seen: list[ObservedExchange]) -> list[wire.Record]:
    """Exchanges to records."""
    stages = pipeline()
    return stages._output([stages._view(observed) for observed in seen]).records


def packed(records: list[wire.Record]) -> list[bytes]:
    return [wire.pack_record(record) for record in records]


def whole(raw: list[bytes]) -> int:
    """All stages as the agent runs them."""
    stages = pipeline()
    events = (fact for one in raw if (fact := decode.fact(*parse(one))) is not None)
    return sum(len(packed(stages.process(*turn).records)) for turn in turns(events))


def hpack_alone(calls: list[Call]) -> None:
    """hyperframe and hpack reading the same frames: the yardstick of HTTP/2."""
    decoders = [(Decoder(), Decoder()) for _ in range(CONNECTIONS)]
    for number, call in enumerate(calls):
        for decoder, data in zip(decoders[number % CONNECTIONS], (call.request, call.response), strict=True):
            at = len(PREFACE) if data.startswith(PREFACE) else 0
            while at < len(data):
                frame, length = Frame.parse_frame_header(memoryview(data)[at : at + 9])
                frame.parse_body(memoryview(data)[at + 9 : at + 9 + length])
                at += 9 + length
                if isinstance(frame, HeadersFrame):
                    decoder.decode(frame.data, raw=True)


def h11_alone(calls: list[Call]) -> None:
    """h11 reading the same messages, a connection for each: the yardstick."""
    for call in calls:
        server, client = h11.Connection(h11.SERVER), h11.Connection(h11.CLIENT)
        for connection, data in ((server, call.request), (client, call.response)):
            connection.receive_data(data)
            while connection.next_event() not in (h11.NEED_DATA, h11.PAUSED):
                pass


def stages(calls: list[Call], yardstick: Callable[[list[Call]], None]) -> dict[str, Callable[[], float]]:
    """Each stage's cost for one view, in µs."""
    raw = raw_events(calls)
    events = decoded(raw)
    seen = read(events)
    records = redacted(seen)
    assert drained(raw) == raw
    assert len(records) == whole(raw) == VIEWS, "the workload is not read as it was written"
    work: dict[str, Callable[[], object]] = {
        "drain": partial(drained, raw),
        "decode": partial(decoded, raw),
        "streams and HTTP": partial(read, events),
        "redact": partial(redacted, seen),
        "pack": partial(packed, records),
        ALL: partial(whole, raw),
        YARDSTICK: partial(yardstick, calls),
    }
    return {name: partial(cpu_us, one, VIEWS) for name, one in work.items()}


def figures(rounds: int) -> Iterator[Figure]:
    for name, made in WORKLOADS.items():
        calls = [made(number) for number in range(VIEWS)]
        yield from of(f"h1 {name}", stages(calls, h11_alone), rounds, "h11 alone", GOAL_US)
    yield from of("h2 fresh", stages(over_http2(calls), hpack_alone), rounds, "hpack and hyperframe alone")


def of(
    name: str, work: dict[str, Callable[[], float]], rounds: int, beside: str, goal: float | None = None
) -> Iterator[Figure]:
    gc.collect()
    gc.freeze()
    costs = alternating(rounds, work)
    yardstick = costs.pop(YARDSTICK)
    for stage, values in costs.items():
        yield Figure(f"{name}: {stage}", "µs/view", values, at_most=goal if stage == ALL else None)
    yield Figure(f"{name}: {beside}", "µs/view", yardstick, yardstick=True)
    yield Figure(f"{name}: {ALL} ÷ {beside}", "ratio", ratios(costs[ALL], yardstick))
