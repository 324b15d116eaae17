"""A table for a terminal: a line for each deviation of each operation, the most severe first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from server.offline.fitting import console, print_fitted
from server.offline.reports.locations import SpecFile, SpecReport
from server.offline.reports.report import MatchReport
from server.offline.tables import plain

MAX_LINES = 100
COLUMNS = ("severity", "operation", "deviation", "where", "calls", "first", "line")


def as_table(found: Sequence[SpecReport]) -> Iterator[str]:
    """The first MAX_LINES deviations; the number after # counts exchanges from 0, as in JSON lines."""
    for report, spec in found:
        yield from _table(report, spec)


def _table(report: MatchReport, spec: SpecFile) -> Iterator[str]:
    rows = report.rows()
    table: list[tuple[list[Text], bool]] = []
    for row in rows[:MAX_LINES]:
        cells = (
            row.severity, row.operation, row.rule, row.located(), f"{row.calls:,}", f"#{row.first}",
            f"{spec.path.name}:{spec.line(row)}",
        )  # fmt: skip
        table.append(([Text(plain(cell)) for cell in cells], False))
    if rows:
        on = console()
        with on.capture() as captured:
            print_fitted(on, COLUMNS, table, head=1)
        yield captured.get()
    rest = len(rows) - MAX_LINES
    if rest > 0:
        listed = f"-o json lists {len(rows):,}" if report.unlisted else "-o json lists all"
        more = f", and {report.unlisted:,} deviations not told apart" if report.unlisted else ""
        yield f"and {rest:,} more; {listed}{more}\n"
