"""Who is at each end of a connection, from the events so far: today, processes.

Only this module names ends. Other sources of identity, such as pods, must arrive as events, so that the same
events always give the same records.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from agent.events import Address, ProcessSeen
from agent.identity.table import Processes
from agent.wire import Endpoint, Process

MAX_ENDS = 4096  # remembered


class Directory:
    """Learns from events; names the end of the captured process, and its peer."""

    def __init__(self) -> None:
        self._processes = Processes()
        self._end = lru_cache(MAX_ENDS)(_end)

    def boot(self, boot_id: str) -> None:
        """Sets the boot of the processes seen from now on."""
        self._processes.boot_id = boot_id

    def add(self, seen: ProcessSeen) -> None:
        """Adds a process, or updates the program it now runs."""
        self._processes.add(seen)

    def end(self, pid: int) -> None:
        """Moves a process to the ended ones; its last bytes may still arrive."""
        self._processes.end(pid)

    def process(self, pid: int) -> Process | None:
        """The latest process with this pid."""
        return self._processes.get(pid)

    @property
    def processes(self) -> int:
        """Number of running processes."""
        return len(self._processes)

    def endpoint(self, address: Address | None, process: Process | None) -> Endpoint | None:
        """The end of `process`, which is on this node even if unknown."""
        return self._end(address, True)

    def peer(self, address: Address | None) -> Endpoint | None:
        """The end of the peer."""
        return self._end(address, False)


def _end(address: Address | None, is_local: bool) -> Endpoint | None:
    """The network namespace is known of the own end, and of a peer on loopback, whose address cannot leave
    it.
    """
    if address is None:
        return None
    known = is_local or ipaddress.ip_address(address.ip).is_loopback
    return Endpoint(address.ip, address.port, address.netns if known else None)
