"""Segments that a half has received and not read."""

from __future__ import annotations

from collections import deque

from agent.streams.half import Data, Segment

SEGMENT_COST = 160
"""Bytes of memory of a queued segment, besides its data."""


class SegmentQueue:
    """Segments in order. `data` from `at` on is being read, of the segment at `time_ns`."""

    __slots__ = ("_queued", "_segments", "at", "data", "time_ns")

    def __init__(self) -> None:
        self._segments: deque[Segment] = deque()
        self._queued = 0  # their bytes
        self.data = b""
        self.at = 0
        self.time_ns = 0

    @property
    def held(self) -> int:
        """Bytes of memory, roughly."""
        return self._queued + len(self.data) - self.at + SEGMENT_COST * len(self._segments)

    def add(self, segment: Segment) -> None:
        """Adds the next segment of the half."""
        self._segments.append(segment)
        if isinstance(segment, Data):
            self._queued += len(segment.data)

    def load(self) -> Segment | None:
        """Removes and returns the next segment, if any; its data becomes the current one."""
        if not self._segments:
            return None
        segment = self._segments.popleft()
        self.time_ns = segment.time_ns
        if isinstance(segment, Data):
            self.data, self.at = segment.data, 0
            self._queued -= len(segment.data)
        return segment

    def pop_rest(self) -> bytes:
        """Removes and returns the rest of the current data."""
        data, at = self.data, self.at
        self.at = len(data)
        return data[at:]

    def put_back(self, segments: list[Data]) -> None:
        """Inserts these segments as the next ones, in order."""
        self._segments.extendleft(reversed(segments))
        self._queued += sum(len(segment.data) for segment in segments)

    def pop_all(self) -> list[Segment]:
        """Removes and returns everything, as segments."""
        looked_at: list[Segment] = [Data(self.time_ns, self.pop_rest())] if self.at < len(self.data) else []
        unread = looked_at + list(self._segments)
        self.clear()
        return unread

    def clear(self) -> int:
        """Removes everything; returns how many bytes that was."""
        length = self._queued + len(self.data) - self.at
        self._segments.clear()
        self._queued = 0
        self.data, self.at = b"", 0
        return length
