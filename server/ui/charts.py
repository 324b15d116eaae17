"""Bars as SVG, drawn by the server, with the table that they are drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from server.analysis.latency import PER_OCTAVE
from server.services.consumers import PeriodCounts
from server.ui.show import CLASSES, VERDICTS, duration

NS = 1_000_000_000
STATUSES = (*CLASSES, "1xx", "none")
HEIGHT = 100.0
STEP = 10.0  # from one bar to the next
WIDTH = 8.6


@dataclass(frozen=True, slots=True)
class ChartPart:
    """A part of a bar, counted from the top."""

    name: str
    count: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class ChartBar:
    label: str
    x: float
    parts: Sequence[ChartPart]
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Chart:
    """Stacked bars; `names` are those of the parts that occur, `top` is the largest bar."""

    names: Sequence[str]
    bars: Sequence[ChartBar]
    top: int

    @property
    def width(self) -> float:
        return STEP * len(self.bars)

    @property
    def total(self) -> int:
        return sum(one.total for one in self.bars)


def stacked(columns: Iterable[tuple[str, Mapping[str, int]]], order: Sequence[str]) -> Chart:
    """A chart of labels with their counts; the first name in `order` is at the bottom."""
    found = [(label, {name: counts[name] for name in order if counts.get(name)}) for label, counts in columns]
    top = max((sum(counts.values()) for _, counts in found), default=0)
    bars = [ChartBar(label, STEP * n, _parts(counts, top), counts) for n, (label, counts) in enumerate(found)]
    return Chart([name for name in order if any(name in one.counts for one in bars)], bars, top)


def _parts(counts: Mapping[str, int], top: int) -> Sequence[ChartPart]:
    found, y = [], HEIGHT
    for name, count in counts.items():
        height = HEIGHT * count / top
        y -= height
        found.append(ChartPart(name, count, round(y, 2), round(height, 2)))
    return found


def by_status(periods: Sequence[PeriodCounts]) -> Chart:
    """Calls by class of status; "none" is without a response."""
    return stacked(((_when(one), one.statuses) for one in periods), STATUSES)


def by_verdict(periods: Sequence[PeriodCounts]) -> Chart:
    """Judged calls by verdict."""
    return stacked(((_when(one), one.verdicts) for one in periods), VERDICTS)


def by_fault(periods: Sequence[PeriodCounts]) -> Mapping[str, int]:
    """Calls of all periods by whose the difference is."""
    return sum((Counter(one.faults) for one in periods), Counter[str]())


def _when(period: PeriodCounts) -> str:
    return f"{datetime.fromtimestamp(period.time // NS, UTC):%Y-%m-%d %H:%M} UTC"


def of_latency(histogram: Mapping[int, int]) -> Chart:
    """Calls by duration: each bar is twice as long as the one before (analysis/latency.py)."""
    octaves: dict[int, int] = {}
    for bucket, count in histogram.items():
        octaves[bucket // PER_OCTAVE] = octaves.get(bucket // PER_OCTAVE, 0) + count
    if not octaves:
        return Chart([], [], 0)
    columns = [(_below(n), {"calls": octaves.get(n, 0)}) for n in range(min(octaves), max(octaves) + 1)]
    return stacked(columns, ["calls"])


def _below(octave: int) -> str:
    return f"below {duration(2 ** (octave + 1) / 1000)}"
