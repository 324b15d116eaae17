"""Markdown for a comment on a pull request or a job's summary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from server.offline.reports.locations import SpecFile, SpecReport
from server.offline.reports.report import MatchReport, summary
from server.offline.tables import plain

MAX_LINES = 200  # GitHub takes comments of up to 65,536 characters

_SPECIAL = re.compile(r"[\\`*_{}\[\]<>()#+!|~@-]")


def as_markdown(found: Sequence[SpecReport]) -> Iterator[str]:
    """The summary, and a table of deviations."""
    for number, (report, spec) in enumerate(found):
        yield "\n" if number else ""
        yield from _section(report, spec)


def _section(report: MatchReport, spec: SpecFile) -> Iterator[str]:
    yield f"**{summary(report.verdicts)}** ({_escaped(spec.path.name)})\n"
    rows = report.rows()
    if not rows:
        return
    yield "\n| severity | operation | deviation | where | calls | line |\n|---|---|---|---|---:|---:|\n"
    for row in rows[:MAX_LINES]:
        deviation = f"{_escaped(row.rule)}: {_escaped(row.message)}"
        cells = (row.severity, _escaped(row.operation), deviation, _escaped(row.located()), row.calls)
        yield f"| {' | '.join(map(str, cells))} | {spec.line(row)} |\n"
    if len(rows) > MAX_LINES:
        yield f"\nand {len(rows) - MAX_LINES:,} more\n"


def _escaped(text: str) -> str:
    """Text of the traffic as text: no markup, no mention, no line break."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", plain(text)).replace("\\@", "&#64;")
