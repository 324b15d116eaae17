"""One JSON document: verdicts, operations, deviations."""

from __future__ import annotations

import json
from collections.abc import Iterator

from server.analysis.json import JsonObject
from server.analysis.specs.kinds import Verdict
from server.offline.reports.locations import SpecFile
from server.offline.reports.report import MatchReport, ReportRow


def as_json(report: MatchReport, spec: SpecFile) -> Iterator[str]:
    """`{"specification", "exchanges", "verdicts", "operations", "deviations", "unlisted"}`."""
    document: JsonObject = {
        "specification": str(spec.path),
        "exchanges": report.verdicts.total(),
        "verdicts": {verdict: report.verdicts[verdict] for verdict in Verdict},
        "operations": [
            {"operation": key, "calls": calls.total(), "verdicts": {one: calls[one] for one in Verdict}}
            for key, calls in sorted(report.calls.items())
        ],
        "deviations": [_deviation(row, spec) for row in report.rows()],
        "unlisted": report.unlisted,
    }
    yield json.dumps(document, indent=2) + "\n"


def _deviation(row: ReportRow, spec: SpecFile) -> JsonObject:
    return {
        "operation": row.operation,
        "verdict": row.verdict,
        "kind": row.rule,
        "where": row.where,
        "place": row.place,
        "severity": row.severity,
        "message": row.message,
        "calls": row.calls,
        "first": row.first,
        "line": spec.line(row),
    }
