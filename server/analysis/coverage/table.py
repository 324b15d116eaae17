"""Coverage as rows, one an operation: for CSV and for tables in a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TypedDict

from server.analysis.coverage.documents import CoverageReport, OperationCoverage
from server.analysis.coverage.names import NO_ANSWER
from server.analysis.printable import csv_cell

MAX_NAMED = 50  # consumers, and undescribed names, of one operation; JSON has all

CoverageRow = TypedDict(
    "CoverageRow",
    {
        "operation": str,
        "operationId": str,
        "level": str,
        "tags": str,
        "deprecated": str,
        "excluded": str,
        "calls": int,
        "1xx": int,
        "2xx": int,
        "3xx": int,
        "4xx": int,
        "5xx": int,
        "unanswered": int,
        "watch": int,
        "deviating": int,
        "parameters": str,
        "fields": str,
        "unknown": str,
        "consumers": int,
        "called by": str,
    },
)


def rows(coverage: CoverageReport) -> list[CoverageRow]:
    """One row an operation, for CSV and tables."""
    return [_row(one) for one in coverage["operations"]]


def _row(one: OperationCoverage) -> CoverageRow:
    hits = one["hits"]
    return {
        "operation": one["operation"],
        "operationId": one["operationId"] or "",
        "level": one["level"],
        "tags": " ".join(one["tags"]),
        "deprecated": "yes" if one["deprecated"] else "",
        "excluded": "yes" if one["excluded"] else "",
        "calls": sum(hits.values()),
        "1xx": hits.get("1xx", 0),
        "2xx": hits.get("2xx", 0),
        "3xx": hits.get("3xx", 0),
        "4xx": hits.get("4xx", 0),
        "5xx": hits.get("5xx", 0),
        "unanswered": hits.get(NO_ANSWER, 0),
        "watch": sum(one["watch"].values()),
        "deviating": one["deviating"],
        "parameters": "{hit}/{total}".format(**one["totals"]["parameters"]),
        "fields": "{hit}/{total}".format(**one["totals"]["fields"]),
        "unknown": few([*one["unknown"]], MAX_NAMED),
        "consumers": len(one["consumers"]),
        "called by": few([*one["consumers"]], MAX_NAMED),
    }


def few(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    rest = len(names) - most
    return " | ".join([*names[:most], *([f"and {rest} more"] if rest > 0 else [])])


def csv_text(coverage: CoverageReport) -> str:
    """RFC 4180, with a header line. Text that a spreadsheet would run as a formula is quoted for it."""
    out = io.StringIO()
    found = rows(coverage)
    writer = csv.writer(out)
    writer.writerow(found[0] if found else ["operation"])
    for row in found:
        writer.writerow([csv_cell(str(value)) for value in row.values()])
    return out.getvalue()
