"""The pace of the agent's main loop: its priority, spell by spell, and pauses, as its CPU budget allows."""

from __future__ import annotations

import logging
import time

from agent import priority
from agent.cpu_budget import CpuBudget

log = logging.getLogger(__name__)


class CpuPace:
    """`floor` and `ceiling` in CPU seconds per second. With `idle` the priority is low, and high while the
    floor is taken; otherwise it is left as it is.
    """

    def __init__(self, floor: float, ceiling: float, *, idle: bool) -> None:
        self._floor, self._ceiling, self._idle = floor, ceiling, idle
        self._budget: CpuBudget | None = None
        self._high = False
        self._stopped = False

    def start(self) -> None:
        """Begins: from now on the agent's threads have low priority, unless it was stopped before."""
        if self._stopped:
            return
        self._budget = CpuBudget(self._floor, self._ceiling, time.monotonic(), time.process_time())
        if self._idle:
            self._high = False
            priority.lower()

    def turn(self, lag_s: float) -> None:
        """Applies the budget, by the lag; may pause."""
        if self._budget is None or self._stopped:
            return
        allowed = self._budget.turn(time.monotonic(), time.process_time(), lag_s)
        if self._idle and allowed.high != self._high:
            self._switch(allowed.high)
        if allowed.pause_s and not self._stopped:
            time.sleep(allowed.pause_s)

    def stop(self) -> None:
        """Normal priority and no pause from now on, to stop in time. A signal handler may call it."""
        self._stopped = True
        priority.restore()

    def _switch(self, high: bool) -> None:
        self._high = high
        if not high:
            priority.lower()
            if self._stopped:  # by a signal, meanwhile
                priority.restore()
        elif not priority.restore(priority.SPELL):
            self._idle = False
            log.warning("cannot raise the priority without CAP_SYS_NICE: --cpu is not guaranteed")
