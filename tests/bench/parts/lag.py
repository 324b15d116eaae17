"""The lag from kernel to server beside busy programs, at 200 plain requests per second.

The agent runs as by default: at idle priority, with its floor of CPU. The server reports the lag, and to it
the age of that report is added. Unlike in other parts, the server's priority is normal: nobody waits for its
answers here, and on a machine of its own it would not share these CPUs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from tests.bench import load
from tests.bench.figures import Figure
from tests.bench.front import fronting
from tests.bench.watch import repeated, workplace
from tests.e2e.processes import python, running, wait_until
from tests.e2e.spectap import Server, watching

NEEDS_ROOT = True
PER_SECOND, SECONDS = 200, 30
GOAL_S = 10.0
LOOK_S = 0.5
CASES: dict[str, tuple[float, tuple[object, ...]]] = {
    "beside programs that use 70 %": (0.7, ()),
    "beside a busy program for each CPU": (1.0, ()),
    "the same without a floor": (1.0, ("--cpu", "0")),
}


def figures(rounds: int) -> Iterator[Figure]:
    with workplace() as folder, fronting(folder) as front:
        for name, (duty, options) in CASES.items():
            home = folder / name.replace(" ", "-").replace("%", "")
            home.mkdir()
            largest = largest_lag(home, front.plain, duty, options)
            goal = None if options else GOAL_S
            note = f"other load {os.getloadavg()[0]:.0f} on {len(os.sched_getaffinity(0))} CPUs"
            yield Figure(f"largest lag {name}", "s", (largest,), at_most=goal, note=note)


def largest_lag(folder: Path, url: str, duty: float, options: tuple[object, ...]) -> float:
    with watching(folder, *options) as spectap, ExitStack() as stack:
        wait_until(lambda: lag(spectap.server) is not None, "the agent to report its lag")
        for number in range(len(os.sched_getaffinity(0))):
            stack.enter_context(running(f"busy-{number}", python("busy", "--duty", str(duty)), folder))
        with watched(partial(lag, spectap.server)) as seen:
            load.requests(url, PER_SECOND * SECONDS, per_second=PER_SECOND)
        return max(seen)


def lag(server: Server) -> float | None:
    """The lag that the agent reported last, and the age of that report, in seconds."""
    for start in server.get("/agents")["items"]:
        if start["lag_s"] is not None:
            age = time.time() - datetime.fromisoformat(start["last_seen"]).timestamp()
            return float(start["lag_s"] + age)
    return None


@contextmanager
def watched(look: Callable[[], float | None]) -> Iterator[list[float]]:
    """What `look` sees meanwhile, twice a second."""
    seen: list[float] = []

    def watch() -> None:
        found = look()
        if found is not None:
            seen.append(found)

    with repeated(watch, LOOK_S):
        yield seen
