"""The live source for tests: the events so far, by half. SPECTAP_BACKEND names the backend, as for agents."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent.events import Chunk, Direction, Event, Lost
from agent.ledger import Bytes
from agent.probes.backend import KPROBES, SYSCALLS
from agent.probes.kernel import CaptureFilters, KernelSource
from agent.probes.programs import Sizes
from tests.kept import cache_folder

PATIENCE = 60.0
BACKEND = KPROBES if os.environ.get("SPECTAP_BACKEND") == KPROBES.name else SYSCALLS


class Watch:
    """A live source and its events so far."""

    def __init__(self, source: KernelSource) -> None:
        self.source = source
        self.told: list[Event] = []
        self._events = source.events()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, what
            self.told.append(next(self._events))

    def half(self, local: int, direction: Direction) -> list[Chunk]:
        return [
            event
            for event in self.told
            if isinstance(event, Chunk)
            and event.direction is direction
            and event.local is not None
            and event.local.port == local
        ]

    def lost(self, bucket: Bytes) -> int:
        """Bytes that the kernel counted and did not copy."""
        return sum(event.count for event in self.told if isinstance(event, Lost) and event.what == bucket)

    def length(self, local: int, direction: Direction) -> int:
        return sum(chunk.length for chunk in self.half(local, direction))


@contextmanager
def watching(filters: CaptureFilters, ring_mib: int = 4, go_calls: int = 1024) -> Iterator[Watch]:
    """A source that captures from here on; afterwards nothing stays attached."""
    sizes = Sizes(ring_bytes=ring_mib << 20, connections=1024, threads=1024, go_calls=go_calls)
    source = KernelSource(filters, sizes, cache_folder(), BACKEND)
    try:
        source.attach()
        yield Watch(source)
    finally:
        source.disable()
        for _ in source.detach():
            pass


def connected(listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    return client, server
