"""Which agents capture, as the table at the head of freshness.py says."""

from __future__ import annotations

import pytest

from server.services.freshness import (
    HEARTBEAT_S,
    LATE_S,
    SILENT_S,
    AgentState,
    Freshness,
    freshness,
)
from server.store.rows import CaptureRow

NOW = 1_800_000_000_000_000_000


def row(watching: str | None, lag_ms: int | None = None, age_s: float = 0.0, agent: str = "a") -> CaptureRow:
    return CaptureRow(agent, watching, lag_ms, NOW - round(age_s * 1e9))


@pytest.mark.parametrize(
    ("stored", "state", "lag_s"),
    [
        (row("everything", 250), "everything", 0.25),
        (row("everything", 250, HEARTBEAT_S), "everything", 0.25),
        (row("everything", 250, HEARTBEAT_S + 7), "everything", 7.25),
        (row("everything", 0, SILENT_S + 1), "silent", SILENT_S + 1 - HEARTBEAT_S),
        (row("everything", 0, -5), "everything", 0),
        (row(None), "unknown", None),
        (row(None, None, SILENT_S + 1), "silent", None),
        (row("nothing"), "nothing", None),
        (row("nothing", None, SILENT_S + 1), "nothing", None),
    ],
)
def test_an_agents_state_follows_its_newest_report_and_that_reports_age(
    stored: CaptureRow, state: str, lag_s: float | None
) -> None:
    assert freshness([stored], NOW).agents == [AgentState("a", state, lag_s)]


def test_the_largest_lag_of_all_agents_counts() -> None:
    found = freshness(
        [row("everything", 250), row("nothing", agent="b"), row("everything", 90, agent="c")], NOW
    )
    assert (found.lag_s, found.is_late) == (0.25, False)
    assert freshness([row("everything", round(LATE_S * 1000) + 1)], NOW).is_late
    assert Freshness(()).lag_s is None


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], "no agent has reported yet"),
        ([row("nothing")], "no agent captures"),
        ([row(None)], "earlier version"),
        ([row("everything", 0, SILENT_S + 1)], "for 60 s"),
        ([row("nothing"), row("everything", 0, agent="b")], None),
        ([row("everything", 30_000)], None),
    ],
)
def test_why_no_agent_captures_is_said_without_naming_one(rows: list[CaptureRow], why: str | None) -> None:
    found = freshness(rows, NOW).why_no_capture()
    assert found is None if why is None else why in (found or "")


def test_the_lag_is_of_each_cluster_and_bounded_to_those_furthest_behind() -> None:
    lags = [("east", 1.0), ("west", 9.0), ("east", 4.0), (None, 2.0), ("north", None)]
    found = Freshness([AgentState("a", "everything", lag_s, cluster) for cluster, lag_s in lags])
    assert found.lags(10) == {"west": 9.0, "east": 4.0, None: 2.0}
    assert found.lags(2) == {"west": 9.0, "east": 4.0}
