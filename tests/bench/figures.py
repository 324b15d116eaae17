"""What a part measures: figures with all their rounds, and the goal of those that have one.

Speed on a shared machine drifts, so what is compared is measured in turns within one run, and an absolute
figure stands beside a yardstick: the speed of something that we did not write, on the same data, then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

Case = TypeVar("Case")


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured, once in each round. `yardstick` is true of what only serves to judge
    the figures beside it; `note` is one short sentence for the table."""

    name: str
    unit: str
    values: tuple[float, ...]
    at_least: float | None = None
    at_most: float | None = None
    yardstick: bool = False
    note: str = ""

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.at_least is not None:
            return self.median >= self.at_least
        return None if self.at_most is None else self.median <= self.at_most


def alternating(rounds: int, cases: Mapping[str, Callable[[], Case]]) -> dict[str, tuple[Case, ...]]:
    """What each case gives in each round. Every other round goes backwards, so that drift favours none."""
    given: dict[str, list[Case]] = {name: [] for name in cases}
    for turn in range(rounds):
        for name in list(cases)[:: -1 if turn % 2 else 1]:
            given[name].append(cases[name]())
    return {name: tuple(values) for name, values in given.items()}


def ratios(parts: tuple[float, ...], wholes: tuple[float, ...]) -> tuple[float, ...]:
    """Round by round, one divided by the other."""
    return tuple(part / whole for part, whole in zip(parts, wholes, strict=True))


def cpu_us(work: Callable[[], object], times: int) -> float:
    """CPU of this thread, in µs, for one of the `times` things that `work` does."""
    began = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - began) / 1000 / times
