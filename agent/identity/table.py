"""Processes by pid, from what the source told of them.

A process that has ended stays known until its pid is met again or room is needed, since its last
bytes may come after its end.
"""

from __future__ import annotations

from collections import OrderedDict

from agent.events import ProcessSeen
from agent.identity.cgroup import membership
from agent.wire import Process

MAX_PROCESSES = 16_384


class Processes:
    """Bounded: the one that was met longest ago makes room."""

    def __init__(self, boot_id: str = "") -> None:
        self.boot_id = boot_id
        self._known: OrderedDict[int, Process] = OrderedDict()

    def see(self, seen: ProcessSeen) -> None:
        """Learns of a process, or of the program it has become."""
        belongs = membership(seen.cgroup)
        self._known[seen.pid] = Process(
            pid=seen.pid,
            name=seen.name,
            boot_id=self.boot_id,
            start_ticks=seen.start_ticks,
            executable=seen.executable,
            unit=belongs.unit,
            container=belongs.container,
        )
        self._known.move_to_end(seen.pid)
        if len(self._known) > MAX_PROCESSES:
            self._known.popitem(last=False)

    def get(self, pid: int) -> Process | None:
        """The process that last had this pid."""
        return self._known.get(pid)

    def __len__(self) -> int:
        return len(self._known)
