"""Looks once a second whether the agent keeps up, and captures less or more as agent/ladder.py says.

Each step is counted, logged and applied at once.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from agent.ladder import CaptureLevel, Ladder
from agent.ledger import Ledger, Steps
from agent.wire import CaptureScope

log = logging.getLogger(__name__)

LOOK_S = 1.0
PAGE = os.sysconf("SC_PAGE_SIZE")
CAPTURED = {
    CaptureLevel.EVERYTHING: "everything is captured again",
    CaptureLevel.HEADS: "bodies are left out",
    CaptureLevel.ONE_IN_4: "one in 4 connections is captured, without bodies",
    CaptureLevel.ONE_IN_16: "one in 16 connections is captured, without bodies",
    CaptureLevel.ONE_IN_64: "one in 64 connections is captured, without bodies",
}
DOWN = {CaptureScope.HEADS: Steps.TO_HEADS, CaptureScope.SAMPLED: Steps.TO_SAMPLE}
SPENT = {CaptureScope.HEADS: Steps.HEADS_MS, CaptureScope.SAMPLED: Steps.SAMPLED_MS}


def memory_in_use() -> int:
    """Bytes of memory that only this process uses; the ring and the programs' code are not among them."""
    _size, resident, shared = Path("/proc/self/statm").read_text().split()[:3]
    return (int(resident) - int(shared)) * PAGE


class Stepping:
    """`memory` is the bound in bytes, `in_use` says how much of it is. `apply` is called with each new level.
    Steps are counted in `ledger`.
    """

    def __init__(
        self,
        memory: int,
        ledger: Ledger,
        apply: Callable[[CaptureLevel], None],
        clock: Callable[[], float] = time.monotonic,
        in_use: Callable[[], int] = memory_in_use,
    ) -> None:
        self._memory, self._ledger, self._apply = memory, ledger, apply
        self._clock, self._in_use = clock, in_use
        self._ladder = Ladder()
        self._looked_s = clock()

    @property
    def level(self) -> CaptureLevel:
        return self._ladder.level

    def turn(self, lag_s: float) -> None:
        """Looks, if a second has passed since it last did."""
        now_s = self._clock()
        if now_s - self._looked_s < LOOK_S:
            return
        before = self.level
        if before.scope in SPENT:
            self._ledger.steps[SPENT[before.scope]] += round((now_s - self._looked_s) * 1000)
        self._looked_s = now_s
        in_use = self._in_use()
        if self._ladder.turn(now_s, lag_s, in_use / self._memory):
            self._step(before, lag_s, in_use)

    def _step(self, before: CaptureLevel, lag_s: float, in_use: int) -> None:
        now = self.level
        self._ledger.steps[DOWN[now.scope] if now > before else Steps.BACK] += 1
        log.warning(
            "%s: %s (lag %.1f s, %d of %d MiB in use)",
            "cannot keep up" if now > before else "keeps up again, one step back",
            CAPTURED[now],
            lag_s,
            in_use >> 20,
            self._memory >> 20,
        )
        self._apply(now)


class NoStepping:
    """Captures everything, however late."""

    level = CaptureLevel.EVERYTHING  # always

    def turn(self, lag_s: float) -> None:
        """Changes nothing."""
