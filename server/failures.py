"""Failures of work that continues anyway: each is counted, and logged once.

The log has the error's type and place, never its text, which may contain captured values.
"""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from pathlib import Path

from server.store.errors import StoreUnavailable

MOST_LOGGED = 1_000  # different failures; further ones are counted only


class Failures:
    """Owned by one thread; any thread may read `counts`, by step."""

    def __init__(self, log: logging.Logger) -> None:
        self.counts: Counter[str] = Counter()
        self._log = log
        self._logged: set[tuple[str, str]] = set()

    def record(self, step: str, consequence: str, error: Exception) -> None:
        """Counts a failure; logs it unless the same was logged before. `consequence` is part of the
        log line.
        """
        self.counts[step] += 1
        line = f"{consequence}: {reason_of(error)}"
        if (step, line) not in self._logged and len(self._logged) < MOST_LOGGED:
            self._logged.add((step, line))
            self._log.error("%s (logged once)", line)

    def end(self, step: str) -> None:
        """Records that the step succeeded as a whole: further failures are logged again."""
        self._logged = {one for one in self._logged if one[0] != step}


def reason_of(error: Exception) -> str:
    """The reason of a failure, without captured values."""
    if isinstance(error, StoreUnavailable):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + where
