"""Each step is counted by name and applied."""

from __future__ import annotations

from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap

from agent.ladder import BURST_S, CALM_S, CaptureLevel
from agent.ledger import Ledger
from agent.stepping import NoStepping, Stepping, memory_in_use

LATE, FRESH = 60.0, 0.0
MIB = 1 << 20


class Run:
    """One that is looked at every second; the test is its clock."""

    def __init__(self) -> None:
        self.now_s, self.in_use = 0.0, 10 * MIB
        self.ledger, self.applied = Ledger(), list[CaptureLevel]()
        self.stepping = Stepping(
            100 * MIB, self.ledger, self.applied.append, lambda: self.now_s, lambda: self.in_use
        )

    def spend(self, seconds: float, lag_s: float) -> None:
        for _ in range(round(seconds)):
            self.now_s += 1
            self.stepping.turn(lag_s)


def test_each_step_is_applied_and_counted_with_the_time_that_it_lasts() -> None:
    run = Run()
    run.spend(BURST_S + 1, LATE)
    assert run.applied == [CaptureLevel.HEADS]
    run.spend(BURST_S, LATE)
    run.spend(2 * CALM_S + 2, FRESH)
    assert run.applied == [
        CaptureLevel.HEADS,
        CaptureLevel.ONE_IN_4,
        CaptureLevel.HEADS,
        CaptureLevel.EVERYTHING,
    ]
    spent = {"heads_ms": (BURST_S + CALM_S) * 1000, "sampled_ms": (CALM_S + 1) * 1000}
    assert run.ledger.steps == {"to_heads": 1, "to_sample": 1, "back": 2, **spent}
    assert run.ledger.as_map()["steps"] == run.ledger.steps


def test_memory_beyond_its_bound_steps_down() -> None:
    run = Run()
    run.in_use = 101 * MIB
    run.spend(BURST_S + 1, FRESH)
    assert run.applied == [CaptureLevel.HEADS]


def test_an_agent_that_keeps_up_has_no_steps_in_its_ledger() -> None:
    run = Run()
    run.spend(1000, FRESH)
    assert (run.applied, "steps" in run.ledger.as_map()) == ([], False)


def test_stepping_can_be_off() -> None:
    stepping = NoStepping()
    stepping.turn(1e9)
    assert stepping.level is CaptureLevel.EVERYTHING


def test_memory_in_use_grows_with_what_is_held() -> None:
    before = memory_in_use()
    with mmap(-1, 64 * MIB, flags=MAP_PRIVATE | MAP_ANONYMOUS) as held:  # bytes() may reuse freed memory
        held.write(bytes(64 * MIB))
        assert memory_in_use() - before > len(held) // 2
