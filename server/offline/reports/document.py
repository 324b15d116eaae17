"""One JSON document: verdicts, operations, deviations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from server.analysis.json import Json, JsonObject
from server.analysis.specs.kinds import Fault, Verdict
from server.offline.reports.locations import SpecFile, SpecReport
from server.offline.reports.report import MatchReport, ReportRow


def as_json(found: Sequence[SpecReport]) -> Iterator[str]:
    """`{"specification", "exchanges", "verdicts", "faults", "operations", "deviations", "unlisted"}`; an
    array of them for several specifications.
    """
    documents: list[Json] = [_document(report, spec) for report, spec in found]
    yield json.dumps(documents[0] if len(documents) == 1 else documents, indent=2) + "\n"


def _document(report: MatchReport, spec: SpecFile) -> JsonObject:
    return {
        "specification": str(spec.path),
        "exchanges": report.verdicts.total(),
        "verdicts": {verdict: report.verdicts[verdict] for verdict in Verdict},
        "faults": {one: report.faults[one, True] + report.faults[one, False] for one in Fault},
        "operations": [
            {"operation": key, "calls": calls.total(), "verdicts": {one: calls[one] for one in Verdict}}
            for key, calls in sorted(report.calls.items())
        ],
        "deviations": [_deviation(row, spec) for row in report.rows()],
        "unlisted": report.unlisted,
    }


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
