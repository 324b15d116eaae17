"""Record times follow the wall clock when it is set, or the machine suspended, while the agent runs."""

from __future__ import annotations

import logging

import pytest

from agent.events import Clock
from agent.probes import kernel
from agent.probes.clock import TOLERANCE_NS, WallClock
from agent.probes.kernel import CaptureFilters
from tests.agent.probes.watch import watching

HOUR_NS = 3_600_000_000_000


class Machine:
    """Two clocks. Reading one takes `reading_ns`; once, `lost_ns` more."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        self.now = 1_000
        self.reading_ns = 100
        self.lost_ns = 0

    def monotonic(self) -> int:
        self.now += self.reading_ns + self.lost_ns
        self.lost_ns = 0
        return self.now

    def wall(self) -> int:
        return self.monotonic() + self.offset


def clock_of(machine: Machine) -> WallClock:
    return WallClock("boot", machine.wall, machine.monotonic)


def test_the_offset_comes_at_first_and_then_only_when_it_has_changed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = Machine(HOUR_NS)
    clock = clock_of(machine)
    assert list(clock.changed()) == [Clock(HOUR_NS, "boot")]
    for _ in range(5):
        machine.offset += TOLERANCE_NS // 10
        assert list(clock.changed()) == []
    machine.offset = HOUR_NS - 5_000_000_000
    assert list(clock.changed()) == [Clock(HOUR_NS - 5_000_000_000, "boot")]
    assert list(clock.changed()) == []
    machine.offset += 2 * TOLERANCE_NS
    assert len(list(clock.changed())) == 1
    said = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    assert said == ["the system clock was set by -5.0 s; records from now on follow it"]


def test_losing_the_cpu_between_two_readings_is_no_step(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(HOUR_NS)
    clock = clock_of(machine)
    assert len(list(clock.changed())) == 1
    machine.lost_ns = 2_000_000_000
    assert list(clock.changed()) == []
    assert caplog.records == []


@pytest.mark.root
def test_the_live_source_follows_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(HOUR_NS)
    monkeypatch.setattr(kernel, "WallClock", lambda boot: WallClock(boot, machine.wall, machine.monotonic))
    monkeypatch.setattr(kernel, "COUNT_INTERVAL", 1)
    with watching(CaptureFilters()) as watch:
        clocks: list[Clock] = []

        def told(count: int) -> bool:
            clocks[:] = [event for event in watch.told if isinstance(event, Clock)]
            return len(clocks) >= count

        watch.until(lambda: told(1), "the first offset")
        machine.offset += 30 * HOUR_NS  # as after a suspend
        watch.until(lambda: told(2), "the second offset")
    assert [clock.offset_ns for clock in clocks] == [HOUR_NS, 31 * HOUR_NS]
