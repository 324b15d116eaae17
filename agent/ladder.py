"""The steps down, and up again, of an agent that cannot keep up. Each captures less and says so.

| level      | late for BURST_S, or since the last step | late, the lag has halved | fresh for the calm time |
|------------|------------------------------------------|--------------------------|-------------------------|
| everything | heads                                    |                          |                         |
| heads      | sampled, one in 4                        | stays                    | everything              |
| one in 4   | one in 16                                | stays                    | heads                   |
| one in 16  | one in 64                                | stays                    | one in 4                |
| one in 64  |                                          |                          | one in 16               |

The lag is that of capture alone, since capturing less does not bring a server back. Late is a lag beyond
LATE_S, or memory beyond the bound; fresh is a lag below FRESH_S with memory to spare.
Between the two nothing changes. The calm time is CALM_S, and doubles whenever a step up was followed by a
step down within RELAPSE_S, up to LONGEST_CALM_S.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from agent.wire import CaptureScope

LATE_S, FRESH_S = 10.0, 2.0  # of lag
SPARE = 0.8  # the part of the memory bound that is in use at most when there is memory to spare
BURST_S, CALM_S = 30.0, 60.0
RELAPSE_S, LONGEST_CALM_S = 600.0, 960.0


class CaptureLevel(IntEnum):
    """What is captured."""

    EVERYTHING = 0
    HEADS = 1
    ONE_IN_4 = 2
    ONE_IN_16 = 3
    ONE_IN_64 = 4

    @property
    def scope(self) -> CaptureScope:
        if self is CaptureLevel.EVERYTHING:
            return CaptureScope.EVERYTHING
        return CaptureScope.HEADS if self is CaptureLevel.HEADS else CaptureScope.SAMPLED

    @property
    def one_in(self) -> int:
        """One in so many connections is captured."""
        return 1 << 2 * max(0, self - CaptureLevel.HEADS)


@dataclass(slots=True)
class _Spell:
    """A time in which the agent was late, or fresh; `lag_s` at its start."""

    since_s: float
    lag_s: float


class Ladder:
    """Times in seconds, from any clock. `level` is the present one."""

    def __init__(self) -> None:
        self.level = CaptureLevel.EVERYTHING
        self._late: _Spell | None = None
        self._fresh_since_s: float | None = None
        self._calm_s = CALM_S
        self._up_at_s: float | None = None

    def turn(self, now_s: float, lag_s: float, memory: float) -> bool:
        """Applies the lag and the part of the memory bound that is in use; whether the level has changed."""
        if lag_s > LATE_S or memory > 1:
            self._fresh_since_s = None
            return self._is_late(now_s, lag_s, memory)
        self._late = None
        if lag_s < FRESH_S and memory < SPARE:
            return self._is_fresh(now_s)
        self._fresh_since_s = None
        return False

    def _is_late(self, now_s: float, lag_s: float, memory: float) -> bool:
        if self._late is None:
            self._late = _Spell(now_s, lag_s)
        if now_s - self._late.since_s < BURST_S:
            return False
        catches_up = memory <= 1 and lag_s <= self._late.lag_s / 2
        self._late = _Spell(now_s, lag_s)
        if catches_up or self.level is max(CaptureLevel):
            return False
        self.level = CaptureLevel(self.level + 1)
        if self._up_at_s is not None and now_s - self._up_at_s <= RELAPSE_S:
            self._calm_s = min(LONGEST_CALM_S, 2 * self._calm_s)
        self._up_at_s = None
        return True

    def _is_fresh(self, now_s: float) -> bool:
        if self._fresh_since_s is None:
            self._fresh_since_s = now_s
        if now_s - self._fresh_since_s < self._calm_s:
            return False
        self._fresh_since_s = now_s
        if self.level is CaptureLevel.EVERYTHING:
            self._calm_s = CALM_S
            return False
        self.level = CaptureLevel(self.level - 1)
        self._up_at_s = now_s
        return True
