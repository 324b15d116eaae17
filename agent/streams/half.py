"""One direction of a connection: chunks with positions become ordered bytes and stated gaps.

| half    | chunk at the position  | beyond it            | before it         | window is over        |
|---------|------------------------|----------------------|-------------------|-----------------------|
| ordered | delivered              | held: waiting        | late; any new     |                       |
|         |                        |                      | bytes delivered   |                       |
| waiting | delivered with all     | held, if there is    | late; any new     | gap stated, all chunks|
|         | chunks behind it:      | room; else as if the | bytes delivered   | behind it delivered:  |
|         | ordered, unless        | window were over     |                   | ordered, or waiting   |
|         | another gap follows    |                      |                   |                       |

Chunks may arrive late, twice or overlapping. A short reorder window waits for missing ones; then the gap is
stated, never filled. A chunk that arrives after its gap was stated is dropped and counted as late.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from enum import StrEnum
from operator import attrgetter

from agent.events import Chunk
from agent.frozen import dataclass
from agent.ledger import Bytes


class GapReason(StrEnum):
    """Why bytes of known length are missing."""

    LOST = "lost"  # no chunk arrived
    UNCAPTURED = "uncaptured"  # the kernel reported their length and could not copy them
    CAPPED = "capped"  # the kernel reported their length; they are the part of a body beyond the cap


@dataclass(frozen=True, slots=True)
class Data:
    """The next bytes of the half, never empty: (part of) one call of the application."""

    time_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """The next `length` bytes of the half are missing."""

    time_ns: int
    length: int
    why: GapReason


Segment = Data | Gap


@dataclass(frozen=True, slots=True)
class Window:
    """The bounds of waiting for a missing chunk: the first one reached ends the wait."""

    bytes: int = 1 << 20
    chunks: int = 256
    wait_ns: int = 200_000_000


WINDOW = Window()
_position = attrgetter("position")


class Half:
    """Orders the chunks of one direction. `position` is where the next segment starts; late bytes are counted
    in `counts`, as Bytes.LATE.
    """

    __slots__ = ("_counts", "_pending", "_window", "pending_bytes", "position")

    def __init__(self, counts: Counter[str], window: Window = WINDOW, position: int = 0) -> None:
        self._counts = counts
        self._window = window
        self._pending: list[Chunk] = []
        self.position = position
        self.pending_bytes = 0

    @property
    def waiting(self) -> bool:
        """Whether chunks are held back until the missing ones before them arrive, or `expire` gives up on
        those.
        """
        return bool(self._pending)

    def add(self, chunk: Chunk) -> list[Segment]:
        """The segments that can be delivered with `chunk`, in stream order."""
        data = chunk.data
        if chunk.position == self.position and chunk.length == len(data) and data and not self._pending:
            self.position += chunk.length
            return [Data(chunk.time_ns, data)]
        out: list[Segment] = []
        if chunk.position <= self.position:
            self._deliver(chunk, out)
            if self._pending:
                self._drain(out)
            return out
        insort(self._pending, chunk, key=_position)
        self.pending_bytes += len(chunk.data)
        while len(self._pending) > self._window.chunks or self.pending_bytes > self._window.bytes:
            self._give_up(out)
        return out

    def expire(self, now_ns: int) -> list[Segment]:
        """Gaps that have outlasted the window, each with the segments behind it."""
        out: list[Segment] = []
        while self._pending and now_ns - min(c.time_ns for c in self._pending) >= self._window.wait_ns:
            self._give_up(out)
        return out

    def flush(self) -> list[Segment]:
        """All gaps and all held segments: nothing more will arrive."""
        out: list[Segment] = []
        while self._pending:
            self._give_up(out)
        return out

    def _give_up(self, out: list[Segment]) -> None:
        first = self._pending[0]
        out.append(Gap(first.time_ns, first.position - self.position, GapReason.LOST))
        self.position = first.position
        self._drain(out)

    def _drain(self, out: list[Segment]) -> None:
        ready = 0
        for chunk in self._pending:
            if chunk.position > self.position:
                break
            self.pending_bytes -= len(chunk.data)
            self._deliver(chunk, out)
            ready += 1
        del self._pending[:ready]

    def _deliver(self, chunk: Chunk, out: list[Segment]) -> None:
        known = self.position - chunk.position
        fresh = chunk.length - known
        if known:
            self._counts[Bytes.LATE] += min(known, chunk.length)
        if fresh <= 0:
            return
        data = chunk.data
        if known or len(data) > chunk.length:
            data = data[known : chunk.length]
        if data:
            out.append(Data(chunk.time_ns, data))
        if len(data) < fresh:
            why = GapReason.CAPPED if chunk.capped else GapReason.UNCAPTURED
            out.append(Gap(chunk.time_ns, fresh - len(data), why))
        self.position += fresh
