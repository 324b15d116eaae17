"""What one set of callers uses and another does not: which test to write next, most called first."""

from __future__ import annotations

from server.analysis.coverage.documents import (
    CoverageReport,
    GapReport,
    OperationCoverage,
    OperationGap,
    PartGap,
    PartKind,
)
from server.analysis.coverage.shares import is_hit

KINDS: tuple[PartKind, ...] = ("hits", "parameters", "fields")


def gaps(used: CoverageReport, tested: CoverageReport) -> GapReport:
    """The difference of two coverages as `report` makes them (of one specification, or of two releases).

    `operations` are called in `used` and not in `tested`; `parts` are status classes, parameters and
    fields of operations that are called in both. Each is ranked by its calls in `used`.
    """
    known = {one["operation"]: one for one in tested["operations"]}
    operations: list[OperationGap] = []
    parts: list[PartGap] = []
    for one in used["operations"]:
        other = known.get(one["operation"])
        if not is_hit(one) and not one["watch"]:
            continue
        if other is None or not _is_called_as(one, other):
            operations.append(_gap(one, other is not None))
        if other is not None and is_hit(other):
            parts += _parts(one, other)
    return {
        "operations": sorted(operations, key=lambda gap: (-gap["calls"], gap["operation"])),
        "parts": sorted(parts, key=lambda gap: (-gap["calls"], gap["operation"], gap["part"])),
    }


def _is_called_as(one: OperationCoverage, other: OperationCoverage) -> bool:
    """A list that was only watched is no test of listing, nor the other way round."""
    return (is_hit(other) or not is_hit(one)) and (bool(other["watch"]) or not one["watch"])


def _gap(one: OperationCoverage, is_described: bool) -> OperationGap:
    return {
        "operation": one["operation"],
        "operationId": one["operationId"],
        "level": one["level"],
        "deprecated": one["deprecated"],
        "described": is_described,
        "calls": sum(one["hits"].values()) + sum(one["watch"].values()),
        "hits": one["hits"],
        "watch": one["watch"],
        "consumers": one["consumers"],
    }


def _parts(one: OperationCoverage, other: OperationCoverage) -> list[PartGap]:
    found: list[PartGap] = []
    for kind in KINDS:
        for part, calls in one[kind].items():
            if calls and not other[kind].get(part):
                found.append({"operation": one["operation"], "kind": kind, "part": part, "calls": calls})
    return found
