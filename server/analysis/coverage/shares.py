"""Shares of operations that were called: of all consumers together, and of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from server.analysis.coverage.documents import (
    CallCounts,
    ConsumerCoverage,
    ConsumerShare,
    OperationCoverage,
)
from server.analysis.coverage.outline import LEVELS

ALL = ""
"""Stands for the operations of every level."""


def percent(hit: int, total: int) -> float | None:
    """With two decimals; null if there is nothing to exercise."""
    return round(100 * hit / total, 2) if total else None


def is_hit(operation: CallCounts) -> bool:
    """Whether any call but a watch was made."""
    return any(operation["hits"].values())


def by_consumer(operations: Iterable[OperationCoverage]) -> dict[str, ConsumerCoverage]:
    """Each consumer's share of these operations, as a whole and by level, most calls first."""
    some = list(operations)
    totals = Counter(level for one in some for level in _levels(one))
    calls: Counter[str] = Counter()
    hit: dict[str, Counter[str]] = {}
    succeeded: dict[str, Counter[str]] = {}
    for one in some:
        for name, made in one["consumers"].items():
            calls[name] += sum(made["hits"].values()) + sum(made["watch"].values())
            hit.setdefault(name, Counter()).update(_levels(one) if is_hit(made) else ())
            succeeded.setdefault(name, Counter()).update(_levels(one) if made["hits"].get("2xx") else ())
    return {
        name: {
            "calls": calls[name],
            **_share(ALL, totals, hit[name], succeeded[name]),
            "levels": {
                level: _share(level, totals, hit[name], succeeded[name]) for level in LEVELS if totals[level]
            },
        }
        for name in sorted(calls, key=lambda name: (-calls[name], name))
    }


def _levels(one: OperationCoverage) -> Sequence[str]:
    return ALL, one["level"]


def _share(level: str, totals: Counter[str], hit: Counter[str], succeeded: Counter[str]) -> ConsumerShare:
    return {
        "total": totals[level],
        "hit": hit[level],
        "percent": percent(hit[level], totals[level]),
        "hit_2xx": succeeded[level],
        "percent_2xx": percent(succeeded[level], totals[level]),
    }
