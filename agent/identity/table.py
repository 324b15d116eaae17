"""Processes by pid, as the source reported them.

A process that has ended can be looked up until its pid is seen again or room is needed, since its last bytes
may arrive later.
"""

from __future__ import annotations

from collections import OrderedDict

from agent.cgroup import membership
from agent.events import ProcessSeen
from agent.wire import Process

MAX_PROCESSES = 16_384
MAX_ENDED = 4096


class Processes:
    """Running processes, and those that ended last; both bounded: the oldest are evicted."""

    def __init__(self, boot_id: str = "") -> None:
        self.boot_id = boot_id
        self._running: OrderedDict[int, Process] = OrderedDict()
        self._ended: OrderedDict[int, Process] = OrderedDict()

    def add(self, seen: ProcessSeen) -> None:
        """Adds a process, or updates the program it now runs."""
        belongs = membership(seen.cgroup)
        self._ended.pop(seen.pid, None)
        self._running[seen.pid] = Process(
            pid=seen.pid,
            name=seen.name,
            boot_id=self.boot_id,
            start_ticks=seen.start_ticks,
            executable=seen.executable,
            unit=belongs.unit,
            container=belongs.container,
            pod=belongs.pod,
            image=seen.image,
        )
        self._running.move_to_end(seen.pid)
        if len(self._running) > MAX_PROCESSES:
            self._running.popitem(last=False)

    def end(self, pid: int) -> None:
        """Moves a process to the ended ones."""
        ended = self._running.pop(pid, None)
        if ended is not None:
            self._ended[pid] = ended
            if len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)

    def get(self, pid: int) -> Process | None:
        """The latest process with this pid."""
        return self._running.get(pid) or self._ended.get(pid)

    def in_pod(self, uid: str) -> set[int]:
        """The running processes of this pod."""
        return {pid for pid, process in self._running.items() if process.pod == uid}

    def __len__(self) -> int:
        """Number of running processes."""
        return len(self._running)
