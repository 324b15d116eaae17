"""Whether the agent's loops turn: each writes a beat, which anybody may read without a lock.

So what hangs cannot hide: a loop that waits for good, be it for a lock or for a disk, stops to write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

STUCK_S = 30.0  # without a turn; no loop waits half as long between two


class Stuck(Exception):
    """A loop that others wait for hangs; the message says which."""


class Beat:
    """When a loop last turned, by `clock`. Written by that loop alone; None before its first turn."""

    __slots__ = ("_clock", "at", "name")

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._clock = clock
        self.at: float | None = None

    def turn(self) -> None:
        """The loop turns."""
        self.at = self._clock()


def why_stuck(beats: Iterable[Beat], now: float) -> str | None:
    """Which loop has begun and does not turn any more at `now`, for a person; None where all do."""
    for beat in beats:
        at = beat.at
        if at is not None and now - at > STUCK_S:
            return f"the {beat.name} has made no progress for {int(now - at)} s"
    return None
