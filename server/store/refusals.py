"""Tracks whether the database accepts writes, and logs changes.

A full disk fails every attempt, several per second: the first failure is logged, then one line a minute with
the number of further failures.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

SAY_EVERY_S = 60.0


class Refusals:
    """Written by the writer's thread only; `reason` may be read by any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.reason: str | None = None  # why the last write was refused; None if it succeeded
        self._clock = clock
        self._said_at = 0.0
        self._unsaid = 0

    def refused(self, reason: str) -> None:
        """Records a failed write; further writes will fail until the cause is removed."""
        now = self._clock()
        if self.reason is None:
            log.error("nothing was stored: %s", reason)
            self._said_at = now
        else:
            self._unsaid += 1
            if now - self._said_at >= SAY_EVERY_S:
                log.error("still nothing is stored (%d more attempts): %s", self._unsaid, reason)
                self._said_at, self._unsaid = now, 0
        self.reason = reason

    def stored(self) -> None:
        """Records that a write was committed."""
        if self.reason is not None:
            log.warning("the database stores again; %d more attempts had failed", self._unsaid)
            self.reason, self._unsaid = None, 0
