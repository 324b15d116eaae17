"""The cost of capture at a steady load: latency against empty probes and none, and the agent's CPU.

The agent, the load and nginx share this machine's CPUs; the server runs at idle priority, as if on another
machine. The agent's CPU is what it needs beyond an idle agent's until it has caught up, as percent of one
core for the time of the load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import load
from tests.bench.figures import Figure, alternating, ratios
from tests.bench.front import Front, fronting
from tests.bench.parts.captured import wait_for_quiet
from tests.bench.parts.traced import cases
from tests.bench.watch import cpu_s, program_statistics, workplace
from tests.e2e.spectap import Spectap

NEEDS_ROOT = True
SECONDS = 2
MOST_ROUNDS = 2  # each round attaches and detaches twice
PACES = (500, 1000, 2000, 5000)
KINDS = ("tls", "plain")
PERCENTILES = {"p50": 0.5, "p99": 0.99}
LATENCY_GOAL = 1.10
IDLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """One paced load: latencies in µs by percentile, and the agent's CPU in percent of one core."""

    delay: dict[str, float]
    agent: float


@dataclass(frozen=True, slots=True)
class Run:
    """One round of one case; `idle` is the agent's CPU without load, in percent of one core."""

    loads: dict[tuple[str, int], Load]
    idle: float


def run(made: Callable[[], AbstractContextManager[object]], front: Front, folder: Path) -> Run:
    with made() as watcher:
        spectap = watcher if isinstance(watcher, Spectap) else None
        idle = idle_share(spectap)
        loads = {
            (kind, pace): paced(spectap, idle, front.url(kind), pace, folder)
            for kind in KINDS
            for pace in PACES
        }
    return Run(loads, idle * 100)


def idle_share(spectap: Spectap | None) -> float:
    """CPU seconds per second of an agent that has nothing to do."""
    if spectap is None:
        return 0.0
    wait_for_quiet(spectap)
    began, before = time.monotonic(), cpu_s(spectap.agent.process.pid)
    time.sleep(IDLE_S)
    return (cpu_s(spectap.agent.process.pid) - before) / (time.monotonic() - began)


def paced(spectap: Spectap | None, idle: float, url: str, pace: int, folder: Path) -> Load:
    began = time.monotonic()
    before = 0.0 if spectap is None else cpu_s(spectap.agent.process.pid)
    done = load.paced(url, SECONDS, pace, folder / "requests.log")
    delay = {name: done.percentile(share) for name, share in PERCENTILES.items()}
    if spectap is None:
        return Load(delay, 0.0)
    wait_for_quiet(spectap)
    after = time.monotonic() - began - done.seconds
    spent = cpu_s(spectap.agent.process.pid) - before - idle * after
    return Load(delay, 100 * spent / done.seconds)


def figures(rounds: int) -> Iterator[Figure]:
    with workplace() as folder, program_statistics(False), fronting(folder) as front:
        compared = {name: partial(run, made, front, folder) for name, made in cases(folder).items()}
        runs = alternating(min(rounds, MOST_ROUNDS), compared)
    yield Figure("agent without load", "% of a core", tuple(one.idle for one in runs["traced"]))
    for kind in KINDS:
        for pace in PACES:
            loads = {case: tuple(one.loads[kind, pace] for one in runs[case]) for case in runs}
            yield from of(f"{kind} at {pace:,}/s", loads)


def of(label: str, loads: dict[str, tuple[Load, ...]]) -> Iterator[Figure]:
    """The figures of one load in all cases."""
    yield Figure(f"{label}: agent", "% of a core", tuple(one.agent for one in loads["traced"]))
    for name in PERCENTILES:
        delay = {case: tuple(one.delay[name] for one in loads[case]) for case in loads}
        watched, empties, alone = delay["traced"], delay["empty"], delay["untraced"]
        against = ratios(watched, empties)
        yield Figure(f"{label}: {name} traced ÷ empty probes", "ratio", against, at_most=LATENCY_GOAL)
        added = tuple(one - other for one, other in zip(watched, alone, strict=True))
        yield Figure(f"{label}: {name} added to untraced", "µs", added)
        yield Figure(f"{label}: {name} untraced", "µs", alone, yardstick=True)
