"""The offset of the wall clock from CLOCK_MONOTONIC, with which the kernel stamps events.

It changes while the agent runs: a user or NTP sets the clock, and CLOCK_MONOTONIC stands still while the
machine is suspended (clock_gettime(2)). NTP's slewing does not change it: both clocks follow.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from agent.events import Clock

log = logging.getLogger(__name__)

TOLERANCE_NS = 1_000_000  # two readings may differ by this much without a change
STEP_NS = 100_000_000  # a change this large is logged
READINGS = 3  # the thread may lose the CPU between the two clocks: the quickest reading counts


class WallClock:
    """Yields a Clock at first, and whenever the offset has changed."""

    def __init__(
        self,
        boot_id: str,
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._boot_id = boot_id
        self._wall = wall
        self._monotonic = monotonic
        self._offset: int | None = None

    def changed(self) -> Iterator[Clock]:
        offset, before = self._read(), self._offset
        if before is not None:
            change = offset - before
            if abs(change) < TOLERANCE_NS:
                return
            if abs(change) >= STEP_NS:
                log.warning(
                    "the system clock was set by %+.1f s; records from now on follow it", change / 1e9
                )
        self._offset = offset
        yield Clock(offset, self._boot_id)

    def _read(self) -> int:
        return min(self._reading() for _ in range(READINGS))[1]

    def _reading(self) -> tuple[int, int]:
        """(duration of the reading, offset), in ns."""
        before = self._monotonic()
        wall = self._wall()
        after = self._monotonic()
        return after - before, wall - (before + after) // 2
