"""Annotations of GitHub Actions: workflow commands, which a runner reads from the output of a step."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from server.analysis.specs.kinds import Severity
from server.offline.reports.locations import SpecFile, SpecReport
from server.offline.reports.report import MatchReport, calls, summary
from server.offline.tables import plain

LEVELS = {Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "notice"}


def as_github(found: Sequence[SpecReport]) -> Iterator[str]:
    """`::error file=…,line=…,title=…::…`, one line for each deviation."""
    for report, spec in found:
        yield from _annotations(report, spec)


def _annotations(report: MatchReport, spec: SpecFile) -> Iterator[str]:
    file = os.path.relpath(spec.path)
    for row in report.rows():
        place = f"file={_property(file)},line={spec.line(row)},title={_property(row.rule)}"
        located = f" ({row.located()})" if row.where else ""
        text = f"{row.operation}: {row.message}{located}, {calls(row.calls)}"
        yield f"::{LEVELS[row.severity]} {place}::{_data(text)}\n"
    yield f"::notice::{_data(summary(report.verdicts))}\n"


def _data(text: str) -> str:
    """The escapes that the runner undoes in a command's data; the log is shown in terminals, too."""
    return plain(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
