"""Processes with the image of their container. One whose image is found late is reported again.

| event                   | known image           | unknown yet, or none                            |
|-------------------------|-----------------------|-------------------------------------------------|
| a process is described  | described with it     | described without; kept, at most MAX_PROCESSES  |
| the image is found      |                       | described again, with it                        |
| the process ends        |                       | forgotten                                       |
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from agent.cgroup import membership
from agent.events import ProcessSeen

MAX_PROCESSES = 4096  # without an image; of more, the oldest stay without


class Lookup(Protocol):
    """What agent/probes/image_lookup.py does."""

    def of(self, container: str) -> str | None: ...

    def late(self) -> dict[str, str]: ...


class ContainerImages:
    """Used by one thread."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._without: OrderedDict[int, ProcessSeen] = OrderedDict()

    def describe(self, seen: ProcessSeen) -> ProcessSeen:
        """The process, with the image of its container if that is known in time."""
        self._without.pop(seen.pid, None)
        container = membership(seen.cgroup).container
        if container is None:
            return seen
        image = self._lookup.of(container)
        if image is not None:
            return replace(seen, image=image)
        self._without[seen.pid] = seen
        if len(self._without) > MAX_PROCESSES:
            self._without.popitem(last=False)
        return seen

    def end(self, pid: int) -> None:
        """Forgets a process that has ended."""
        self._without.pop(pid, None)

    def late(self) -> Iterator[ProcessSeen]:
        """Running processes whose image was found since they were described."""
        images = self._lookup.late()
        for seen in [*self._without.values()] if images else ():
            image = images.get(membership(seen.cgroup).container or "")
            if image is not None:
                del self._without[seen.pid]
                yield replace(seen, image=image)
