"""The formats of reports, each a function from the counts of all specifications to text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from server.offline.reports.document import as_json
from server.offline.reports.github import as_github
from server.offline.reports.junit import as_junit
from server.offline.reports.locations import SpecReport
from server.offline.reports.markdown import as_markdown
from server.offline.reports.sarif import as_sarif


def _as_table(found: Sequence[SpecReport]) -> Iterator[str]:
    from server.offline.reports.table import as_table  # rich takes a tenth of a second to import

    return as_table(found)


FORMATS: Mapping[str, Callable[[Sequence[SpecReport]], Iterator[str]]] = {
    "table": _as_table,
    "json": as_json,
    "sarif": as_sarif,
    "junit": as_junit,
    "github": as_github,
    "markdown": as_markdown,
}
"""A new format is a module and a row here; the text comes in pieces."""
