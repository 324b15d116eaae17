"""The agent's CPU: a floor that it takes while others contend for it, and a ceiling that it keeps to.

Both are token buckets of CPU seconds: filled as time passes, emptied by what the process uses. The agent runs
at low priority on CPU that nobody else wants, up to the ceiling. While it is behind, it may run at a priority
above the normal one, in spells that the floor's tokens pay for.

| priority | behind, and tokens for a spell | caught up | no tokens left |
|---|---|---|---|
| low      | high                           |           |                |
| high     |                                | low       | low            |
"""

from __future__ import annotations

BEHIND_S, CAUGHT_UP_S = 0.5, 0.1  # of lag
SPELL_S = 0.05  # the CPU time that a spell begins with, at least
SAVED_S = 10.0  # the time for which a bucket fills
LONGEST_PAUSE_S = 0.25


class _Meter:
    """The time that passed and the CPU time that was used between two readings (seconds)."""

    def __init__(self, now_s: float, used_s: float) -> None:
        self._now_s, self._used_s = now_s, used_s

    def read(self, now_s: float, used_s: float) -> tuple[float, float]:
        passed_s, spent_s = max(0.0, now_s - self._now_s), max(0.0, used_s - self._used_s)
        self._now_s, self._used_s = now_s, used_s
        return passed_s, spent_s


class CpuFloor:
    """Whether the agent may run at high priority. `floor` in CPU seconds per second; times in seconds,
    `used_s` the process's CPU time.
    """

    def __init__(self, floor: float, now_s: float, used_s: float) -> None:
        self._floor = floor
        self._meter = _Meter(now_s, used_s)
        self._saved_s = floor * SAVED_S  # negative if a spell used more
        self.high = False

    def turn(self, now_s: float, used_s: float, lag_s: float) -> bool:
        """Whether the priority is to be high now, by the CPU time used so far and the lag."""
        passed_s, spent_s = self._meter.read(now_s, used_s)
        saved_s = self._saved_s + passed_s * self._floor
        left_s = saved_s - spent_s
        if not self.high:  # what is used at low priority makes no debt
            left_s = max(left_s, min(saved_s, 0.0))
        self._saved_s = min(left_s, self._floor * SAVED_S)
        if self.high:
            self.high = lag_s > CAUGHT_UP_S and self._saved_s > 0
        else:
            self.high = lag_s > BEHIND_S and 0 < min(SPELL_S, self._floor * SAVED_S) <= self._saved_s
        return self.high


class CpuCeiling:
    """How long the agent must pause. `ceiling` in CPU seconds per second; times as for the floor."""

    def __init__(self, ceiling: float, now_s: float, used_s: float) -> None:
        self._ceiling = ceiling
        self._meter = _Meter(now_s, used_s)
        self._left_s = ceiling  # negative if it was exceeded

    def turn(self, now_s: float, used_s: float) -> float:
        """The pause (seconds) that is due now, by the CPU time used so far."""
        passed_s, spent_s = self._meter.read(now_s, used_s)
        self._left_s = min(self._left_s + passed_s * self._ceiling - spent_s, self._ceiling)
        return min(LONGEST_PAUSE_S, max(0.0, -self._left_s / self._ceiling))
