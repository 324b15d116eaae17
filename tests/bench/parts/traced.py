"""The cost of capture for nginx at full speed: its throughput, against empty probes and none.

The agent, the load and nginx share this machine's CPUs; the server runs at idle priority, as if on another
machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

from tests.bench import empty, load
from tests.bench.figures import Figure, alternating, ratios
from tests.bench.front import Front, fronting
from tests.bench.watch import program_statistics, watching, workplace

NEEDS_ROOT = True
SECONDS = 2
MOST_ROUNDS = 2  # each round attaches and detaches twice
GOALS = {"tls": 0.85, "plain": None}


def run(made: Callable[[], AbstractContextManager[object]], front: Front) -> dict[str, float]:
    """Requests/s by kind."""
    with made():
        return {kind: load.flat_out(front.url(kind), SECONDS).per_second for kind in GOALS}


def cases(folder: Path) -> dict[str, Callable[[], AbstractContextManager[object]]]:
    """The ways of watching that are compared."""
    return {
        "untraced": nullcontext,
        "empty": lambda: empty.probed(folder),
        "traced": lambda: watching(folder),
    }


def figures(rounds: int) -> Iterator[Figure]:
    with workplace() as folder, program_statistics(False), fronting(folder) as front:
        compared = {name: partial(run, made, front) for name, made in cases(folder).items()}
        runs = alternating(min(rounds, MOST_ROUNDS), compared)
    for kind, goal in GOALS.items():
        speed = {name: tuple(one[kind] for one in runs[name]) for name in runs}
        empties, watched, alone = speed["empty"], speed["traced"], speed["untraced"]
        yield Figure(f"{kind}: traced ÷ empty probes", "ratio", ratios(watched, empties), at_least=goal)
        yield Figure(f"{kind}: traced ÷ untraced", "ratio", ratios(watched, alone))
        yield Figure(f"{kind}: traced", "requests/s", watched)
        yield Figure(f"{kind}: untraced", "requests/s", alone, yardstick=True)
