"""The pace of the agent's main loop: its priority, spell by spell, and pauses, as its CPU budget allows."""

from __future__ import annotations

import logging
import time

from agent import priority
from agent.cpu_budget import CpuBudget

log = logging.getLogger(__name__)

WAITING_S = 2.0  # records that wait longer though the server takes them need CPU
LONGEST_WAY_S = 0.05


class CpuPace:
    """`floor` and `ceiling` in CPU seconds per second. With `idle` the priority is low, and high while the
    floor is taken; otherwise it is left as it is.
    """

    def __init__(self, floor: float, ceiling: float, *, idle: bool) -> None:
        self._floor, self._ceiling, self._idle = floor, ceiling, idle
        self._budget: CpuBudget | None = None
        self._high = False
        self._stopped = False
        self._turned_s = 0.0  # when the last turn ended

    def start(self) -> None:
        """Begins: from now on the agent's threads have low priority, unless it was stopped before."""
        if self._stopped:
            return
        self._budget = CpuBudget(self._floor, self._ceiling, time.monotonic(), time.process_time())
        if self._idle:
            self._high = False
            priority.lower()

    def turn(self, lag_s: float, delivery_s: float = 0.0) -> None:
        """Applies the budget, by the lag; may pause. While records wait (`delivery_s`) though the server
        takes them, the loop pauses as long as it worked: so the shipper has its share of the CPU, and what
        the agent cannot do shows as lag of capture, not as a queue behind it.
        """
        if self._budget is None or self._stopped:
            return
        allowed = self._budget.turn(time.monotonic(), time.process_time(), lag_s)
        if self._idle and allowed.high != self._high:
            self._switch(allowed.high)
        pause_s, now_s = allowed.pause_s, time.monotonic()
        if delivery_s > WAITING_S:
            pause_s = max(pause_s, min(LONGEST_WAY_S, now_s - self._turned_s))
        if pause_s and not self._stopped:
            time.sleep(pause_s)
            now_s = time.monotonic()
        self._turned_s = now_s

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
