"""The figures as a table for people and as JSON for machines, with a description of the machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure

Figures = Mapping[str, Sequence[Figure]]
MET = {True: "yes", False: "[bold]no[/bold]", None: ""}


def machine() -> dict[str, object]:
    """The size of this machine. Figures are comparable within one run only."""
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def as_json(figures: Figures) -> str:
    found = [
        {"part": part, **asdict(figure), "median": figure.median, "met": figure.met}
        for part, some in figures.items()
        for figure in some
    ]
    return json.dumps({"machine": machine(), "figures": found}, indent=1)


def figure_of(plain: dict[str, Any]) -> Figure:
    """The figure that `asdict` converted for JSON."""
    return Figure(**{**plain, "values": tuple(plain["values"])})


def show(part: str, figure: Figure, console: Console) -> None:
    """One line, where there is no terminal: a pipe has no width to fit a table into."""
    if not console.is_terminal:
        console.print(line(part, figure), highlight=False, markup=False, soft_wrap=True)


def show_all(figures: Figures, console: Console) -> None:
    """The machine; on a terminal also a table with the median, the minimum and maximum of all rounds, and the
    goal of each figure.
    """
    facts = machine()
    console.print(
        f"{facts['cpus']} CPUs ({facts['cpu']}), {facts['memory_mib']:,} MiB, Linux {facts['kernel']}, "
        f"Python {facts['python']}",
        highlight=False,
        soft_wrap=True,
    )
    if console.is_terminal:
        console.print(_table(figures))


def _table(figures: Figures) -> Table:
    table = Table("figure", caption="a goal is held against the median of all rounds")
    for heading in ("median", "from", "to"):
        table.add_column(heading, justify="right")
    for heading in ("unit", "goal", "met"):
        table.add_column(heading)
    for part, some in figures.items():
        table.add_row(f"[bold]{part}[/bold]")
        for figure in some:
            table.add_row(*_cells(figure))
        table.add_section()
    return table


def line(part: str, figure: Figure) -> str:
    """The figure as `part: name: median unit (from minimum to maximum), goal ≥ limit: met or missed`."""
    name = f"beside it: {figure.name}" if figure.yardstick else figure.name
    text = f"{part}: {name}: {number(figure.median)} {figure.unit}".rstrip()
    text += f" (from {number(min(figure.values))} to {number(max(figure.values))})"
    if figure.met is not None:
        text += f", goal {_goal(figure)}: {'met' if figure.met else 'missed'}"
    return f"{text}; {figure.note}" if figure.note else text


def _cells(figure: Figure) -> tuple[str, ...]:
    name = f"[dim]beside it: {figure.name}[/dim]" if figure.yardstick else figure.name
    return (
        f"{name}\n  {figure.note}" if figure.note else name,
        number(figure.median),
        number(min(figure.values)),
        number(max(figure.values)),
        figure.unit,
        _goal(figure),
        MET[figure.met],
    )


def _goal(figure: Figure) -> str:
    if figure.at_least is not None:
        return f"≥ {number(figure.at_least)}"
    return "" if figure.at_most is None else f"≤ {number(figure.at_most)}"


def number(value: float) -> str:
    """About four digits: more would be noise."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
