"""The floor and the ceiling, as the table at the head of cpu_budget.py says; the test is the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest

from agent.cpu_budget import BEHIND_S, CAUGHT_UP_S, LONGEST_PAUSE_S, SAVED_S, CpuCeiling, CpuFloor

FLOOR, CEILING = 0.1, 1.0
STEP_S = 0.01


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the agent may do at a moment."""

    high: bool
    pause_s: float


class Machine:
    """Runs an agent: in each step it gets a share of a CPU, by its priority."""

    def __init__(self, floor: float = FLOOR, ceiling: float = CEILING) -> None:
        self.now_s = self.used_s = 0.0
        self.floor, self.ceiling = CpuFloor(floor, 0.0, 0.0), CpuCeiling(ceiling, 0.0, 0.0)
        self.last = Allowance(high=False, pause_s=0.0)

    def run(self, seconds: float, share: Callable[[bool], float], lag_s: float = 60.0) -> list[Allowance]:
        """The allowances of that time, in which the agent is `lag_s` behind."""
        found = []
        for _ in range(round(seconds / STEP_S)):
            self.now_s += self.last.pause_s + STEP_S
            self.used_s += share(self.last.high) * STEP_S
            high = self.floor.turn(self.now_s, self.used_s, lag_s)
            self.last = Allowance(high, self.ceiling.turn(self.now_s, self.used_s))
            found.append(self.last)
        return found


def contended(high: bool) -> float:
    """Beside busy threads at normal priority: half of a CPU, or next to nothing."""
    return 0.5 if high else 0.01


def alone(high: bool) -> float:
    return 1.0


def test_an_agent_that_is_behind_gets_the_floor_beside_busy_threads_and_not_more() -> None:
    machine = Machine()
    machine.run(100, contended)
    assert machine.used_s == pytest.approx(100 * FLOOR, rel=0.15)


def test_spells_alternate_with_low_priority() -> None:
    spells = [one.high for one in Machine().run(100, contended)]
    assert spells.count(True) < spells.count(False)
    assert sum(before != after for before, after in pairwise(spells)) > 10


def test_an_agent_that_is_not_behind_stays_at_low_priority() -> None:
    assert not any(one.high for one in Machine().run(5, contended, lag_s=BEHIND_S))


def test_a_spell_ends_once_the_agent_has_caught_up() -> None:
    machine = Machine()
    assert machine.run(STEP_S, contended)[-1].high
    assert machine.run(STEP_S, contended, lag_s=2 * CAUGHT_UP_S)[-1].high
    assert not machine.run(STEP_S, contended, lag_s=CAUGHT_UP_S)[-1].high


def test_what_is_saved_is_bounded() -> None:
    machine = Machine()
    machine.run(1000, lambda high: 0.0, lag_s=0)
    spell = [one.high for one in machine.run(100, lambda high: 1.0)].index(False) * STEP_S
    assert spell <= SAVED_S * FLOOR / (1 - FLOOR) + 2 * STEP_S


def test_idle_cpu_beyond_the_floor_is_used_at_low_priority_without_a_debt() -> None:
    machine = Machine()
    machine.run(100, alone)
    assert machine.used_s > 90
    machine.run(1, lambda high: 0.0)
    assert machine.last.high  # the floor is there at once when others come


def test_a_spell_that_used_more_than_was_saved_is_paid_for_before_the_next() -> None:
    machine = Machine()
    machine.run(STEP_S, contended)
    machine.used_s += 2 * SAVED_S * FLOOR
    assert not machine.run(STEP_S, contended)[-1].high
    waits = [one.high for one in machine.run(100, lambda high: 0.0)].index(True) * STEP_S
    assert waits == pytest.approx(SAVED_S, rel=0.1)


def test_without_a_floor_the_priority_stays_low() -> None:
    assert not any(one.high for one in Machine(floor=0).run(5, contended))


@pytest.mark.parametrize("ceiling", [0.2, 0.5])
def test_the_ceiling_is_kept_by_pauses_of_bounded_length(ceiling: float) -> None:
    machine = Machine(ceiling=ceiling)
    pauses = [one.pause_s for one in machine.run(50, alone)]
    assert machine.used_s / machine.now_s == pytest.approx(ceiling, rel=0.1)
    assert 0 < max(pauses) <= LONGEST_PAUSE_S


def test_below_the_ceiling_there_is_no_pause() -> None:
    assert not any(one.pause_s for one in Machine().run(50, lambda high: 0.9))
