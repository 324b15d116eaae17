"""A table for a terminal: a line for each deviation of each operation, the most severe first."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.offline.reports.locations import SpecFile, SpecReport
from server.offline.reports.report import MatchReport
from server.offline.tables import plain

MAX_LINES = 100
PLAIN_WIDTH = 160  # if there is no terminal with a width


def as_table(found: Sequence[SpecReport]) -> Iterator[str]:
    """The first MAX_LINES deviations; the number after # counts exchanges from 0, as in JSON lines."""
    for report, spec in found:
        yield from _table(report, spec)


def _table(report: MatchReport, spec: SpecFile) -> Iterator[str]:
    rows = report.rows()
    table = Table("severity", "operation", "deviation", "where", "calls", "first", "line", box=None)
    for row in rows[:MAX_LINES]:
        cells = (
            row.severity, row.operation, row.rule, row.located(), f"{row.calls:,}", f"#{row.first}",
            f"{spec.path.name}:{spec.line(row)}",
        )  # fmt: skip
        table.add_row(*(Text(plain(cell)) for cell in cells))
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    console = Console(highlight=False, width=width)
    if rows:
        with console.capture() as captured:
            console.print(table)
        yield captured.get()
    rest = len(rows) - MAX_LINES
    if rest > 0:
        listed = f"-o json lists {len(rows):,}" if report.unlisted else "-o json lists all"
        more = f", and {report.unlisted:,} deviations not told apart" if report.unlisted else ""
        yield f"and {rest:,} more; {listed}{more}\n"
