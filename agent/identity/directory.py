"""Who is at each end of a connection, from what events have told so far: processes today.

The only place that names an end, so that whatever tells of ends, such as pods, comes as events too, and
the same events always make the same records.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from agent.events import Address, ProcessSeen
from agent.identity.table import Processes
from agent.wire import Endpoint, Process

MAX_ENDS = 4096  # remembered


class Directory:
    """Learns from events; answers for the end whose process was watched, and for its peer."""

    def __init__(self) -> None:
        self._processes = Processes()
        self._end = lru_cache(MAX_ENDS)(_end)

    def boot(self, boot_id: str) -> None:
        """Processes seen from now on are of this boot."""
        self._processes.boot_id = boot_id

    def see(self, seen: ProcessSeen) -> None:
        """Learns of a process, or of the program it has become."""
        self._processes.see(seen)

    def end(self, pid: int) -> None:
        """The process has ended; what it sent last may still come."""
        self._processes.end(pid)

    def process(self, pid: int) -> Process | None:
        """The process that last had this pid."""
        return self._processes.get(pid)

    @property
    def processes(self) -> int:
        """Processes that run."""
        return len(self._processes)

    def endpoint(self, address: Address | None, process: Process | None) -> Endpoint | None:
        """The end of `process`, which is on this node even where it is not known."""
        return self._end(address, True)

    def peer(self, address: Address | None) -> Endpoint | None:
        """The other end."""
        return self._end(address, False)


def _end(address: Address | None, is_local: bool) -> Endpoint | None:
    """Only our own end's namespace is known, and the peer's where the address cannot leave it (loopback)."""
    if address is None:
        return None
    known = is_local or ipaddress.ip_address(address.ip).is_loopback
    return Endpoint(address.ip, address.port, address.netns if known else None)
