"""The results of a part: figures with all their rounds, and goals.

The speed of a shared machine drifts. So variants are measured alternately within one run, and an absolute
figure is accompanied by a yardstick: the speed of other software on the same data at the same time.
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
    """One measurement, with one value per round. `yardstick` marks a figure that serves only to judge the
    others; `note` is a short sentence for the table.
    """

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
        """Whether the goal is reached; None if there is none."""
        if self.at_least is not None:
            return self.median >= self.at_least
        return None if self.at_most is None else self.median <= self.at_most


def alternating(rounds: int, cases: Mapping[str, Callable[[], Case]]) -> dict[str, tuple[Case, ...]]:
    """The values of each case by round. Every other round runs in reverse order, so that drift favours
    none.
    """
    given: dict[str, list[Case]] = {name: [] for name in cases}
    for turn in range(rounds):
        for name in list(cases)[:: -1 if turn % 2 else 1]:
            given[name].append(cases[name]())
    return {name: tuple(values) for name, values in given.items()}


def ratios(parts: tuple[float, ...], wholes: tuple[float, ...]) -> tuple[float, ...]:
    """The ratios of two figures, round by round."""
    return tuple(part / whole for part, whole in zip(parts, wholes, strict=True))


def cpu_us(work: Callable[[], object], times: int) -> float:
    """CPU time of this thread in µs for one of `times` repetitions in `work`."""
    began = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - began) / 1000 / times
