"""Time in the agent's eBPF programs for one plain exchange at one end, by the kernel's own count."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from agent import priority
from tests.bench import empty, load
from tests.bench.figures import Figure, alternating
from tests.bench.front import fronting
from tests.bench.watch import program_statistics, workplace
from tests.e2e import spectap

NEEDS_ROOT = True
MOST_ROUNDS = 2
REQUESTS = 40_000
WITNESSES = 2  # nginx and h2load
GOAL_US = 2.5

_TIME = re.compile(r"^run_time_ns:\s*(\d+)$", re.MULTILINE)


def run_time_ns(pid: int) -> int:
    """Total over all programs of a process (`bpf_prog_show_fdinfo` of the kernel)."""
    total = 0
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile: no program, these stay open
            found = _TIME.search(file.read_text())
            total += int(found[1]) if found else 0
    return total


def cost_us(probing: Callable[[], AbstractContextManager[int]], url: str) -> float:
    with probing() as pid:
        load.requests(url, REQUESTS // 10)
        before = run_time_ns(pid)
        load.requests(url, REQUESTS)
        return (run_time_ns(pid) - before) / 1000 / REQUESTS / WITNESSES


@contextmanager
def agent(folder: Path, url: str) -> Iterator[int]:
    """An agent that captures nginx and h2load by their port: names would be compared in every call."""
    with spectap.serving(folder) as server:
        priority.lower(server.process.pid)
        with spectap.agent(folder, server, "--port", urlsplit(url).port) as watcher:
            yield watcher.process.pid


def figures(rounds: int) -> Iterator[Figure]:
    with workplace() as folder, program_statistics(True), fronting(folder) as front:
        cases: dict[str, Callable[[], AbstractContextManager[int]]] = {
            "agent": lambda: agent(folder, front.plain),
            "empty": lambda: empty.probed(folder),
        }
        costs = alternating(
            min(rounds, MOST_ROUNDS),
            {name: partial(cost_us, probing, front.plain) for name, probing in cases.items()},
        )
    yield Figure("plain exchange at one end", "µs", costs["agent"], at_most=GOAL_US)
    yield Figure("the same with empty programs", "µs", costs["empty"], yardstick=True)
