"""The agent's pace: its priority, spell by spell, and the pauses of its main loop, as its CPU budget allows.

The priority is set by a thread of its own, which keeps the normal one: at low priority, beside busy threads,
another thread may take minutes to find out that the agent is behind.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from agent import priority
from agent.cpu_budget import CpuCeiling, CpuFloor

log = logging.getLogger(__name__)

LOOK_S, LOOK_IN_SPELL_S = 0.25, 0.05
WAITING_S = 2.0  # records that wait longer though the server takes them need CPU
LONGEST_WAY_S = 0.05


class CpuPace:
    """`floor` and `ceiling` in CPU seconds per second. With `idle` the priority is low, and high while the
    floor is taken; otherwise it is left as it is. `lag_s` is how far the agent is behind, for any thread.
    """

    def __init__(self, floor: float, ceiling: float, lag_s: Callable[[], float], *, idle: bool) -> None:
        self._floor, self._ceiling, self._idle = floor, ceiling, idle
        self._lag_s = lag_s
        self._budget: CpuCeiling | None = None
        self._stopped = False
        self._turned_s = 0.0  # when the last turn ended

    def start(self) -> None:
        """Begins: from now on the agent's threads have low priority, unless it was stopped before."""
        if self._stopped:
            return
        self._budget = CpuCeiling(self._ceiling, time.monotonic(), time.process_time())
        if self._idle:
            threading.Thread(target=self._spells, name="pace", daemon=True).start()

    def turn(self, delivery_s: float = 0.0) -> None:
        """May pause the main loop. While records wait (`delivery_s`) though the server takes them, the loop
        pauses as long as it worked: so the shipper has its share of the CPU, and what the agent cannot do
        shows as lag of capture, not as a queue behind it.
        """
        if self._budget is None or self._stopped:
            return
        now_s = time.monotonic()
        pause_s = self._budget.turn(now_s, time.process_time())
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

    def _spells(self) -> None:
        """Sets the priority until stopped."""
        floor = CpuFloor(self._floor, time.monotonic(), time.process_time())
        self._lower()
        while not self._stopped:
            time.sleep(LOOK_IN_SPELL_S if floor.high else LOOK_S)
            was_high = floor.high
            is_high = floor.turn(time.monotonic(), time.process_time(), self._lag_s())
            if is_high and not was_high and not priority.restore(priority.SPELL):
                log.warning("cannot raise the priority without CAP_SYS_NICE: --cpu is not guaranteed")
                return
            if was_high and not is_high:
                self._lower()

    def _lower(self) -> None:
        priority.lower(but=threading.get_native_id())
        if self._stopped:  # by a signal, meanwhile
            priority.restore()
