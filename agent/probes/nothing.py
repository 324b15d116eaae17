"""The source of an agent that only receives gateways' reports: it loads no program and captures nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

from agent.events import ConnectionKey, Event, Tick
from agent.ledger import Bytes
from agent.probes.cgroups import Cgroup
from agent.probes.source import Watching

TICK_S = 0.2


class NoCapture:
    """A LiveSource that yields only ticks."""

    def __init__(self) -> None:
        self.watching = Watching(backend="nothing is captured")
        self._stopping = False

    def attach(self) -> None:
        """Nothing to attach."""

    def ask_to_stop(self) -> None:
        """May be called from a signal handler."""
        self._stopping = True

    def disable(self) -> None:
        """Nothing to disable."""

    def ignore(self, connection: ConnectionKey, bucket: Bytes) -> None:
        """No-op: there are no connections."""

    def limit(self, *, bodies: bool, one_in: int) -> None:
        """No-op: there are no connections."""

    def choose(self, cgroup: Cgroup, captured: bool | None) -> None:
        """No-op: there are no processes."""

    def events(self) -> Iterator[Event]:
        """Ticks, until stopped."""
        while not self._stopping:
            time.sleep(TICK_S)
            yield Tick(time.monotonic_ns())

    def detach(self) -> Iterator[tuple[int, int]]:
        """Nothing to detach."""
        return iter(())
