"""A hang is detected by the beats of the agent's loops, without waiting for the lock they wait for."""

from __future__ import annotations

from agent.health import STUCK_S, Beat, why_stuck


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_is_stuck_when_it_has_not_turned_for_so_long_and_not_before() -> None:
    clock = Clock()
    beats = [Beat("pipeline", clock), Beat("shipper", clock)]
    for beat in beats:
        beat.turn()
    clock.now += STUCK_S
    assert why_stuck(beats, clock.now) is None
    beats[0].turn()
    clock.now += 1
    assert why_stuck(beats, clock.now) == "the shipper has made no progress for 31 s"
    beats[1].turn()
    assert why_stuck(beats, clock.now) is None


def test_a_loop_that_has_not_begun_is_not_stuck() -> None:
    assert why_stuck([Beat("spool", Clock())], 1e9) is None
