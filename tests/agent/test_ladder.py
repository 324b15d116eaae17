"""The steps down and up, as the table at the head of ladder.py says; the test is the clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent.ladder import BURST_S, CALM_S, FRESH_S, LATE_S, LONGEST_CALM_S, SPARE, CaptureLevel, Ladder
from agent.wire import CaptureScope

LATE, BETWEEN, FRESH = LATE_S + 1, (LATE_S + FRESH_S) / 2, FRESH_S / 2


class Run:
    """A ladder that is looked at once a second."""

    def __init__(self) -> None:
        self.ladder = Ladder()
        self.now_s = 1000.0

    def spend(
        self, seconds: float, lag_s: float | Callable[[float], float], memory: float = 0.5
    ) -> list[CaptureLevel]:
        """The new levels of that time; `lag_s` may depend on the seconds that have passed of it."""
        found = []
        for second in range(round(seconds) + 1):
            lag = lag_s(second) if callable(lag_s) else lag_s
            if self.ladder.turn(self.now_s + second, lag, memory):
                found.append(self.ladder.level)
        self.now_s += round(seconds)
        return found


def test_a_burst_changes_nothing() -> None:
    run = Run()
    assert run.spend(BURST_S - 1, LATE) == []
    assert run.spend(1, BETWEEN) == []
    assert run.spend(BURST_S - 1, LATE) == []


def test_what_stays_late_steps_down_to_the_last_level_one_burst_after_the_other() -> None:
    run = Run()
    assert run.spend(BURST_S, LATE) == [CaptureLevel.HEADS]
    assert run.spend(BURST_S - 1, LATE) == []
    assert run.spend(1, LATE) == [CaptureLevel.ONE_IN_4]
    assert run.spend(100 * BURST_S, LATE) == [CaptureLevel.ONE_IN_16, CaptureLevel.ONE_IN_64]


def test_memory_beyond_the_bound_steps_down_like_a_lag() -> None:
    run = Run()
    assert run.spend(BURST_S, FRESH, memory=1.01) == [CaptureLevel.HEADS]
    assert run.spend(BURST_S, FRESH, memory=1.01) == [CaptureLevel.ONE_IN_4]
    assert run.spend(10 * CALM_S, FRESH, memory=(1 + SPARE) / 2) == []
    assert run.spend(CALM_S, FRESH, memory=SPARE - 0.1) == [CaptureLevel.HEADS]


def test_while_a_backlog_shrinks_fast_enough_no_further_step_is_taken() -> None:
    run = Run()
    run.spend(BURST_S, 100)
    assert run.spend(2 * BURST_S, lambda second: max(LATE, 100 - 2 * second)) == []
    assert run.spend(BURST_S, LATE) == [CaptureLevel.ONE_IN_4]


def test_a_calm_time_leads_up_step_by_step() -> None:
    run = Run()
    run.spend(3 * BURST_S, LATE)
    assert run.spend(CALM_S - 1, FRESH) == []
    assert run.spend(1, FRESH) == [CaptureLevel.ONE_IN_4]
    assert run.spend(2 * CALM_S, FRESH) == [CaptureLevel.HEADS, CaptureLevel.EVERYTHING]
    assert run.spend(10 * CALM_S, FRESH) == []


def test_between_late_and_fresh_nothing_changes() -> None:
    run = Run()
    run.spend(BURST_S, LATE)
    assert run.spend(20 * CALM_S, BETWEEN) == []
    run.spend(CALM_S - 1, FRESH)
    run.spend(1, BETWEEN)
    assert run.spend(CALM_S - 1, FRESH) == []


def test_each_relapse_doubles_the_calm_time_up_to_a_bound() -> None:
    run = Run()
    calm = CALM_S
    for _ in range(10):
        run.spend(BURST_S, LATE)
        assert run.spend(calm - 1, FRESH) == []
        assert run.spend(1, FRESH) == [CaptureLevel.EVERYTHING]
        calm = min(2 * calm, LONGEST_CALM_S)
    assert calm == LONGEST_CALM_S


@pytest.mark.parametrize(
    ("level", "scope", "one_in"),
    [
        (CaptureLevel.EVERYTHING, CaptureScope.EVERYTHING, 1),
        (CaptureLevel.HEADS, CaptureScope.HEADS, 1),
        (CaptureLevel.ONE_IN_4, CaptureScope.SAMPLED, 4),
        (CaptureLevel.ONE_IN_16, CaptureScope.SAMPLED, 16),
        (CaptureLevel.ONE_IN_64, CaptureScope.SAMPLED, 64),
    ],
)
def test_each_level_says_what_it_captures(level: CaptureLevel, scope: CaptureScope, one_in: int) -> None:
    assert (level.scope, level.one_in) == (scope, one_in)
