"""Whether the agent's loops make progress: each writes a beat, which any thread may read without a lock.

A loop that waits forever, for a lock or a disk, stops writing its beat, so a hang is visible.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

STUCK_S = 30.0  # without a beat; no loop waits half as long between two


class Stuck(Exception):
    """A loop hangs that others wait for; the message names it."""


class Beat:
    """When a loop last made progress, by `clock`; None before its first turn. Only that loop writes it."""

    __slots__ = ("_clock", "at", "name")

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._clock = clock
        self.at: float | None = None

    def turn(self) -> None:
        """Records that the loop makes progress."""
        self.at = self._clock()


def why_stuck(beats: Iterable[Beat], now: float) -> str | None:
    """A sentence naming a started loop that makes no progress at `now`; None if all do."""
    for beat in beats:
        at = beat.at
        if at is not None and now - at > STUCK_S:
            return f"the {beat.name} has made no progress for {int(now - at)} s"
    return None
