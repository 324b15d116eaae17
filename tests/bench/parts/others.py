"""The agent's cost for a protocol other than HTTP (Redis commands), compared with empty programs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent import priority
from tests.bench import empty
from tests.bench.figures import Figure, alternating, ratios
from tests.bench.load import FIRST
from tests.bench.parts.kernel import run_time_ns
from tests.bench.watch import program_statistics, workplace
from tests.e2e import spectap

NEEDS_ROOT = True
MOST_ROUNDS = 3
SOURCE = Path(__file__).parents[1] / "pong.c"
CONNECTIONS = 16
COMMANDS = 300_000
ENDS = 2
LEAST = 0.97


@dataclass(frozen=True, slots=True)
class Cost:
    """Per command: CPU time at both ends, and the part of it in eBPF programs at one end."""

    cpu_us: float
    programs_ns: float


def pong(program: Path, commands: int) -> float:
    argv = [*FIRST, str(program), str(CONNECTIONS), str(commands)]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


@contextmanager
def agent(folder: Path) -> Iterator[int]:
    """An agent without filters."""
    with spectap.serving(folder) as server:
        priority.lower(server.process.pid)
        with spectap.agent(folder, server) as watcher:
            yield watcher.process.pid


def cost(probed: Callable[[], AbstractContextManager[int]], program: Path) -> Cost:
    with probed() as pid:
        with program_statistics(False):
            pong(program, COMMANDS // 10)
            cpu = pong(program, COMMANDS)
        with program_statistics(True):
            before = run_time_ns(pid)
            pong(program, COMMANDS)
            return Cost(cpu, (run_time_ns(pid) - before) / COMMANDS / ENDS)


def figures(rounds: int) -> Iterator[Figure]:
    with workplace() as folder:
        program = folder / "pong"
        subprocess.run(["gcc", "-O2", "-pthread", "-o", program, SOURCE], check=True)
        cases: dict[str, Callable[[], AbstractContextManager[int]]] = {
            "empty": lambda: empty.probed(folder),
            "agent": lambda: agent(folder),
        }
        costs = alternating(
            min(rounds, MOST_ROUNDS),
            {name: partial(cost, probed, program) for name, probed in cases.items()},
        )
    cpu = {name: tuple(one.cpu_us for one in costs[name]) for name in costs}
    programs = {name: tuple(one.programs_ns for one in costs[name]) for name in costs}
    yield Figure(
        "CPU of a command, empty programs ÷ agent", "ratio", ratios(cpu["empty"], cpu["agent"]), LEAST
    )
    yield Figure("CPU of a command at both ends", "µs", cpu["agent"])
    yield Figure("the same with empty programs", "µs", cpu["empty"], yardstick=True)
    yield Figure("of it in the programs, at one end", "ns", programs["agent"])
    yield Figure("in empty programs", "ns", programs["empty"], yardstick=True)
