"""Failures of work that goes on all the same: each is counted, and logged once.

The log names the error's type and where it arose, never its text: that may hold what was captured.
"""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from pathlib import Path

from server.store.errors import StoreUnavailable

MOST_LOGGED = 1_000  # different failures; further ones are counted only


class Failures:
    """Owned by one thread; any may read `counts`, by step."""

    def __init__(self, log: logging.Logger) -> None:
        self.counts: Counter[str] = Counter()
        self._log = log
        self._logged: set[tuple[str, str]] = set()

    def record(self, step: str, consequence: str, error: Exception) -> None:
        """Counts a failure; logs it unless the same was logged before. `consequence` says what it costs."""
        self.counts[step] += 1
        line = f"{consequence}: {reason_of(error)}"
        if (step, line) not in self._logged and len(self._logged) < MOST_LOGGED:
            self._logged.add((step, line))
            self._log.error("%s (logged once)", line)

    def end(self, step: str) -> None:
        """The step succeeded as a whole: what fails from now on is logged again."""
        self._logged = {one for one in self._logged if one[0] != step}


def reason_of(error: Exception) -> str:
    """Why something failed, without anything captured."""
    if isinstance(error, StoreUnavailable):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + where
