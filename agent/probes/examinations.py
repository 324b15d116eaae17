"""The queue of processes to examine for TLS libraries.

event                             next
--------------------------------  ----------------------------------------------------------
a new program, or new code in it  examined at once, before all others
a round over all processes        examined when no new one waits
no room                           counted as `overflowed`, left to the next round
"""

from __future__ import annotations

from collections import OrderedDict

MAX_QUEUED = 4096


class Examinations:
    """Processes by pid; each waits once."""

    def __init__(self) -> None:
        self._new: OrderedDict[int, None] = OrderedDict()
        self._old: OrderedDict[int, None] = OrderedDict()
        self.overflowed = 0

    def add(self, pid: int) -> None:
        """Adds a process in a round over all processes."""
        if pid not in self._new:
            self._put(self._old, pid)

    def add_new(self, pid: int) -> None:
        """Adds a process that runs a new program, or has mapped new code."""
        self._old.pop(pid, None)
        self._put(self._new, pid)

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def take(self) -> int | None:
        """Removes and returns the next process to examine; None if there is none."""
        queue = self._new or self._old
        return queue.popitem(last=False)[0] if queue else None

    def _put(self, queue: OrderedDict[int, None], pid: int) -> None:
        if pid in queue:
            return
        if len(queue) >= MAX_QUEUED:
            self.overflowed += 1
        else:
            queue[pid] = None
