"""The agent under measurement captures nginx only. Its server stands for another machine's, so it runs at
idle priority and takes no time from what is measured.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from agent import priority
from tests.e2e import spectap
from tests.e2e.spectap import Spectap

TICKS = os.sysconf("SC_CLK_TCK")
STATS = Path("/proc/sys/kernel/bpf_stats_enabled")


def cpu_s(pid: int) -> float:
    """User and system time of a process (proc(5), fields 14 and 15 of its stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def repeated(look: Callable[[], object], every_s: float) -> Iterator[None]:
    """Calls `look` so often meanwhile, in a thread of its own."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(every_s):
            look()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def workplace() -> Iterator[Path]:
    """A temporary folder."""
    with TemporaryDirectory(prefix="spectap-bench-") as folder:
        yield Path(folder)


@contextmanager
def watching(folder: Path, *options: object, program: list[str] | None = None) -> Iterator[Spectap]:
    """Starts server and agent; the agent captures processes named nginx, with further `options`."""
    with spectap.serving(folder) as server:
        priority.lower(server.process.pid)
        with spectap.agent(folder, server, "--process", "nginx", *options, program=program) as agent:
            yield Spectap(server, agent)


@contextmanager
def program_statistics(on: bool) -> Iterator[None]:
    """Makes the kernel time its eBPF programs, which itself takes time."""
    before = STATS.read_text()
    STATS.write_text(str(int(on)))
    try:
        yield
    finally:
        STATS.write_text(before)
