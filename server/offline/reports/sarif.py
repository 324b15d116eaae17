"""SARIF 2.1.0 (OASIS), for code scanning: a result for each deviation, located in the specification."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from server.analysis.json import Json, JsonObject
from server.analysis.specs.kinds import KINDS, Severity
from server.offline.reports.locations import SpecFile, SpecReport
from server.offline.reports.report import ZOMBIE, ZOMBIE_MESSAGE, MatchReport, ReportRow

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}


def as_sarif(found: Sequence[SpecReport]) -> Iterator[str]:
    """One log, with a run for each specification. A fingerprint is the deviation's identity, which outlives
    edits of the file.
    """
    runs: list[Json] = [_run(report, spec) for report, spec in found]
    yield json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": runs}, indent=2) + "\n"


def _run(report: MatchReport, spec: SpecFile) -> JsonObject:
    rows = report.rows()
    rules = list(dict.fromkeys(row.rule for row in rows))
    driver: JsonObject = {
        "name": "spectap",
        "version": version("spectap"),
        "rules": [_rule(rule) for rule in rules],
    }
    uri = _uri(spec.path)
    return {
        "automationDetails": {"id": f"spectap/{uri}"},
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(row, rules.index(row.rule), uri, spec.line(row)) for row in rows],
        "properties": {
            "exchanges": report.verdicts.total(),
            "verdicts": {str(verdict): count for verdict, count in sorted(report.verdicts.items(), key=str)},
        },
    }


def _rule(rule: str) -> JsonObject:
    severities = {str(kind): row.severity for kind, row in KINDS.items()}
    text = ZOMBIE_MESSAGE if rule == ZOMBIE else f"traffic differs from its specification: {rule}"
    level = LEVELS[severities.get(rule, Severity.MEDIUM)]
    return {"id": rule, "shortDescription": {"text": text}, "defaultConfiguration": {"level": level}}


def _result(row: ReportRow, rule: int, uri: str, line: int) -> JsonObject:
    digest = hashlib.sha256(json.dumps(row.identity()).encode()).hexdigest()
    located = f" ({row.located()})" if row.where else ""
    logical: list[Json] = [{"fullyQualifiedName": row.operation, "kind": "function"}]
    return {
        "ruleId": row.rule,
        "ruleIndex": rule,
        "level": LEVELS[row.severity],
        "message": {"text": f"{row.operation}: {row.message}{located}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": line}},
                "logicalLocations": logical,
            }
        ],
        "partialFingerprints": {"deviation/v1": digest},
        "occurrenceCount": row.calls,
        "properties": {"verdict": row.verdict, "severity": row.severity, "firstExchange": row.first},
    }


def _uri(path: Path) -> str:
    """Relative to the working folder, in a workflow the repository; absolute for a file outside of it."""
    relative = os.path.relpath(path)
    return path.resolve().as_uri() if relative.startswith("..") else quote(relative)
