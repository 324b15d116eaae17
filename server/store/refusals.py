"""Whether the database takes writes, as its last one went; said in the log when that changes.

A disk that is full fails each attempt, several a second: one line tells it, then one a minute how many more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

SAY_EVERY_S = 60.0


class Refusals:
    """Written to by the writer's thread alone; `reason` may be read by any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.reason: str | None = None  # why the last write was refused; None where it was not
        self._clock = clock
        self._said_at = 0.0
        self._unsaid = 0

    def refused(self, reason: str) -> None:
        """A write failed, and its like will until something is done about the reason."""
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
        """A write that changed something was committed."""
        if self.reason is not None:
            log.warning("the database stores again; %d more attempts had failed", self._unsaid)
            self.reason, self._unsaid = None, 0
