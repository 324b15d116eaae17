"""Tracks whether the database accepts writes, and logs changes.

A full disk fails every attempt, several per second: the first failure is logged, then one line a minute with
the number of further failures.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

LOG_EVERY_S = 60.0


class Refusals:
    """Written by the writer's thread only; `reason` may be read by any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.reason: str | None = None  # why the last write was refused; None if it succeeded
        self._clock = clock
        self._logged_at = 0.0
        self._unlogged = 0

    def refused(self, reason: str) -> None:
        """Records a failed write; further writes will fail until the cause is removed."""
        now = self._clock()
        if self.reason is None:
            log.error("nothing was stored: %s", reason)
            self._logged_at = now
        else:
            self._unlogged += 1
            if now - self._logged_at >= LOG_EVERY_S:
                log.error("still nothing is stored (%d more attempts): %s", self._unlogged, reason)
                self._logged_at, self._unlogged = now, 0
        self.reason = reason

    def stored(self) -> None:
        """Records that a write was committed."""
        if self.reason is not None:
            log.warning("the database accepts writes again, after %d more failed attempts", self._unlogged)
            self.reason, self._unlogged = None, 0
