"""How fresh the stored data is: which agents capture, how much of what passes, and how far they are behind.

| agent's newest report | age of the report | state |
|---|---|---|
| captures | at most SILENT_S | `everything`, or what it reports |
| does not say (an agent of an earlier version) | at most SILENT_S | `unknown` |
| captures, or does not say | more than SILENT_S | `silent` |
| captures nothing: not yet, or it has stopped | any | `nothing` |

An agent that was last heard of more than KNOWN_S ago is forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.wire import CaptureScope
from server.store.rows import CaptureRow

HEARTBEAT_S = 10.0  # agents report at least as often
SILENT_S = 60.0
KNOWN_S = 3600.0
LATE_S = 10.0  # a lag beyond this is more than the freshness that is promised
UNKNOWN, SILENT = "unknown", "silent"
STATES = (*CaptureScope, UNKNOWN, SILENT)


@dataclass(frozen=True, slots=True)
class AgentState:
    """One agent. `lag_s` is None unless it captures and reports its lag; of an agent whose report is overdue,
    it has grown by that time.
    """

    agent: str
    state: str
    lag_s: float | None
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Freshness:
    """The agents, ordered by name and cluster."""

    agents: Sequence[AgentState]

    @property
    def lag_s(self) -> float | None:
        """The largest lag of all agents; None if none reports one."""
        return max((one.lag_s for one in self.agents if one.lag_s is not None), default=None)

    def lags(self, most: int) -> Mapping[str | None, float]:
        """The largest lag in each cluster, None for none; the `most` clusters that are furthest behind."""
        found: dict[str | None, float] = {}
        for one in sorted(self.agents, key=lambda one: -(one.lag_s or 0.0)):
            if one.lag_s is not None and len(found) < most:
                found.setdefault(one.cluster, one.lag_s)
        return found

    @property
    def counts(self) -> Counter[str]:
        """The number of agents in each state that occurs."""
        return Counter(one.state for one in self.agents)

    @property
    def is_late(self) -> bool:
        """Whether the lag is more than is promised."""
        return self.lag_s is not None and self.lag_s > LATE_S

    def why_no_capture(self) -> str | None:
        """A sentence on why no agent captures; None if one does. It names no agent."""
        counts = self.counts
        if set(counts) - {CaptureScope.NOTHING, UNKNOWN, SILENT}:
            return None
        if not counts:
            return "no agent has reported yet"
        if counts[UNKNOWN]:
            return "the agents are of an earlier version, which does not report whether it captures"
        if counts[SILENT]:
            return f"no agent has reported for {SILENT_S:.0f} s"
        return "no agent captures: probes are not attached yet, or capture has ended"


def freshness(rows: Sequence[CaptureRow], now: int) -> Freshness:
    """The freshness at `now` (wall clock in ns), by the newest start of each agent."""
    return Freshness(
        [_state(row, now) for row in sorted(rows, key=lambda row: (row.agent, row.cluster or ""))]
    )


def _state(row: CaptureRow, now: int) -> AgentState:
    age_s = max(0, now - row.last_seen) / 1e9
    if row.watching == CaptureScope.NOTHING:
        return AgentState(row.agent, row.watching, None, row.cluster)
    overdue_s = max(0.0, age_s - HEARTBEAT_S)
    lag_s = None if row.lag_ms is None else row.lag_ms / 1000 + overdue_s
    if age_s > SILENT_S:
        return AgentState(row.agent, SILENT, lag_s, row.cluster)
    return AgentState(row.agent, row.watching or UNKNOWN, lag_s, row.cluster)
