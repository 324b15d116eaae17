"""What waits to be shipped. In memory, bounded by bytes: the oldest goes first when it is full."""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Backlog(Protocol):
    """Packed records between the pipeline and the network, oldest first. The shipper does the locking."""

    @property
    def records(self) -> int: ...

    @property
    def size(self) -> int:
        """Bytes held."""
        ...

    def put(self, packed: bytes) -> int:
        """Keeps one record; answers how many records were dropped for it."""
        ...

    def take(self, most_records: int, most_bytes: int) -> list[bytes]:
        """Removes and answers the oldest: at least one if there is one, else no more than both bounds."""
        ...


class MemoryBacklog:
    """A Backlog that never holds more than `most_bytes`; a record larger than that is dropped itself."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._size = 0
        self._waiting: deque[bytes] = deque()

    @property
    def records(self) -> int:
        return len(self._waiting)

    @property
    def size(self) -> int:
        return self._size

    def put(self, packed: bytes) -> int:
        if len(packed) > self._most:
            return 1
        self._waiting.append(packed)
        self._size += len(packed)
        dropped = 0
        while self._size > self._most:
            self._size -= len(self._waiting.popleft())
            dropped += 1
        return dropped

    def take(self, most_records: int, most_bytes: int) -> list[bytes]:
        taken: list[bytes] = []
        size = 0
        while self._waiting and len(taken) < most_records:
            size += len(self._waiting[0])
            if taken and size > most_bytes:
                break
            self._size -= len(self._waiting[0])
            taken.append(self._waiting.popleft())
        return taken
