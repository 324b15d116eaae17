"""The records in memory, and when each was put. Bounded by bytes: when full, the oldest is dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence


class MemoryBacklog:
    """Packed records, oldest first, at most `most_bytes`; a larger record is dropped. Times are the caller's
    clock's.

    Not thread-safe.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._size = 0
        self._waiting: deque[tuple[float, bytes]] = deque()

    @property
    def records(self) -> int:
        return len(self._waiting)

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size

    @property
    def oldest_at(self) -> float | None:
        """When the oldest was put; None if there are none."""
        return self._waiting[0][0] if self._waiting else None

    def put(self, packed: bytes, at: float) -> int:
        """Adds one record; returns how many were dropped."""
        if len(packed) > self._most:
            return 1
        self._waiting.append((at, packed))
        self._size += len(packed)
        return self._shrink()

    def put_back(self, records: Sequence[bytes], at: float) -> int:
        """Adds records again that were taken as the oldest; returns how many were dropped."""
        self._waiting.extendleft((at, packed) for packed in reversed(records))
        self._size += sum(map(len, records))
        return self._shrink()

    def take(self, most_records: int, most_bytes: int) -> list[bytes]:
        """Removes and returns the oldest: at least one if there are any, otherwise within both bounds."""
        taken: list[bytes] = []
        size = 0
        while self._waiting and len(taken) < most_records:
            packed = self._waiting[0][1]
            size += len(packed)
            if taken and size > most_bytes:
                break
            self._size -= len(packed)
            taken.append(packed)
            self._waiting.popleft()
        return taken

    def _shrink(self) -> int:
        dropped = 0
        while self._size > self._most:
            self._size -= len(self._waiting.popleft()[1])
            dropped += 1
        return dropped
