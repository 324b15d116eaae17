"""The cost of capture for nginx: throughput at full speed, paced latency, against empty probes and none.

The agent, the load and nginx share this machine's CPUs; the server runs at idle priority, as if on another
machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import empty, load
from tests.bench.figures import Figure, alternating, ratios
from tests.bench.front import Front, fronting
from tests.bench.watch import program_statistics, watching, workplace

NEEDS_ROOT = True
SECONDS = 2
MOST_ROUNDS = 2  # each round attaches and detaches twice
PACES = (500, 2000)
KINDS = ("tls", "plain")
LATENCY_GOAL = 1.10
GOALS = {"tls": 0.85, "plain": None}


@dataclass(frozen=True, slots=True)
class Run:
    """One round of one case: requests/s at full speed by kind, and (p50, p99) in µs by kind and pace."""

    speed: dict[str, float]
    delay: dict[tuple[str, int], tuple[float, float]]


def run(front: Front, folder: Path) -> Run:
    urls = {"tls": front.tls, "plain": front.plain}
    delay = {}
    for kind in KINDS:
        for pace in PACES:
            done = load.paced(urls[kind], SECONDS, pace, folder / "requests.log")
            delay[kind, pace] = done.percentile(0.5), done.percentile(0.99)
    speed = {kind: load.flat_out(urls[kind], SECONDS).per_second for kind in KINDS}
    return Run(speed, delay)


def within(made: Callable[[], AbstractContextManager[object]], front: Front, folder: Path) -> Run:
    with made():
        return run(front, folder)


def figures(rounds: int) -> Iterator[Figure]:
    with workplace() as folder, program_statistics(False), fronting(folder) as front:
        cases: dict[str, Callable[[], AbstractContextManager[object]]] = {
            "untraced": nullcontext,
            "empty": lambda: empty.probed(folder),
            "traced": lambda: watching(folder),
        }
        runs = alternating(
            min(rounds, MOST_ROUNDS),
            {name: partial(within, made, front, folder) for name, made in cases.items()},
        )
    for kind in KINDS:
        speed = {name: tuple(one.speed[kind] for one in runs[name]) for name in runs}
        empties, watched, alone = speed["empty"], speed["traced"], speed["untraced"]
        yield Figure(
            f"{kind}: traced ÷ empty probes", "ratio", ratios(watched, empties), at_least=GOALS[kind]
        )
        yield Figure(f"{kind}: traced ÷ untraced", "ratio", ratios(watched, alone))
        yield Figure(f"{kind}: traced", "requests/s", watched)
        yield Figure(f"{kind}: untraced", "requests/s", alone, yardstick=True)
    for kind in KINDS:
        for pace in PACES:
            for at, name in enumerate(("p50", "p99")):
                delay = {case: tuple(one.delay[kind, pace][at] for one in runs[case]) for case in runs}
                label = f"{kind} at {pace:,}/s: {name}"
                against = ratios(delay["traced"], delay["empty"])
                yield Figure(f"{label} traced ÷ empty probes", "ratio", against, at_most=LATENCY_GOAL)
                yield Figure(f"{label} untraced", "µs", delay["untraced"], yardstick=True)
