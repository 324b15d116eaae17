"""Coverage as rows, one an operation: for CSV and for tables in a terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from server.analysis.coverage.parts import NO_ANSWER
from server.analysis.coverage.report import Json

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows(coverage: Mapping[str, Any]) -> list[Json]:
    """One row an operation, for CSV and tables."""
    return [_row(one) for one in coverage["operations"]]


def _row(one: Mapping[str, Any]) -> Json:
    hits = one["hits"]
    return {
        "operation": one["operation"],
        "operationId": one["operationId"] or "",
        "level": one["level"],
        "tags": " ".join(one["tags"]),
        "deprecated": "yes" if one["deprecated"] else "",
        "calls": sum(hits.values()),
        **{status: hits.get(status, 0) for status in ("1xx", "2xx", "3xx", "4xx", "5xx")},
        "unanswered": hits.get(NO_ANSWER, 0),
        "watch": sum(one["watch"].values()),
        "deviating": one["deviating"],
        "parameters": "{hit}/{total}".format(**one["totals"]["parameters"]),
        "fields": "{hit}/{total}".format(**one["totals"]["fields"]),
        "consumers": len(one["consumers"]),
    }


def csv_text(coverage: Mapping[str, Any]) -> str:
    """RFC 4180, with a header line. Text that a spreadsheet would run as a formula is quoted for it."""
    out = io.StringIO()
    found = rows(coverage)
    writer = csv.writer(out)
    writer.writerow(found[0] if found else ["operation"])
    for row in found:
        writer.writerow([_defused(value) for value in row.values()])
    return out.getvalue()


def _defused(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
