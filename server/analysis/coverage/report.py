"""Combines counts and an outline into the coverage of a specification, as plain JSON.

Any call except a watch exercises an operation, with or without a response. Deprecated operations are listed
and excluded from the totals. The fields of operations without calls are counted but not listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from fnmatch import fnmatchcase

from server.analysis.coverage.counts import Counts
from server.analysis.coverage.documents import (
    Confidence,
    CoverageReport,
    CoverageShare,
    HitCount,
    HitShare,
    OperationCoverage,
)
from server.analysis.coverage.names import DEVIATING, FIELD, HIT, PARAMETER, REFUSED, UNSEEN, WATCH
from server.analysis.coverage.outline import LEVELS, Offer, Outline
from server.analysis.coverage.shares import by_consumer, is_hit, percent

Callers = Callable[[str], bool]
"""Whether a consumer counts, by its name."""


def matching(pattern: str | None) -> Callers | None:
    """The consumers whose name matches a pattern with `*` and `?`; names of tests have brackets, which stand
    for themselves.
    """
    if pattern is None:
        return None
    escaped = pattern.replace("[", "[[]")
    return lambda name: fnmatchcase(name, escaped)


def report(
    outline: Outline,
    counts: Counts,
    *,
    level: str | None = None,
    tag: str | None = None,
    caller: Callers | None = None,
    excluded: Container[str] = (),
    missed: Confidence | None = None,
) -> CoverageReport:
    """The coverage, limited to a level, a tag, and some consumers. Operations whose operationId is `excluded`
    are listed and left out of the totals, as deprecated ones are.
    """
    operations = [
        operation_report(outline, offer, counts, caller, excluded)
        for offer in outline.offers.values()
        if level in (None, offer.level) and (tag is None or tag in offer.operation.tags)
    ]
    counted = [one for one in operations if not one["deprecated"] and not one["excluded"]]
    return {
        "spec": {"title": outline.title, "version": outline.version},
        "exchanges": counts.exchanges,
        "confidence": missed,
        "keywords": None if counts.keywords is None else _share(map(_keyword_count, counted)),
        **_totals(counted),
        "levels": {
            name: _totals([one for one in counted if one["level"] == name])
            for name in LEVELS
            if any(one["level"] == name for one in counted)
        },
        "tags": {name: _totals(some) for name, some in _by_tag(counted).items()},
        "deprecated": _totals([one for one in operations if one["deprecated"]]),
        "excluded": _totals([one for one in operations if one["excluded"] and not one["deprecated"]]),
        "consumers": by_consumer(counted),
        "operations": operations,
        "unknown": [
            {"method": method, "path": path, "hits": dict(hits)}
            for (method, path), hits in sorted(counts.unknown.items(), key=_most_called)
        ],
    }


def _most_called(entry: tuple[tuple[str, str], Counter[str]]) -> tuple[int, tuple[str, str]]:
    return -entry[1].total(), entry[0]


def _totals(operations: Iterable[OperationCoverage]) -> CoverageShare:
    some = list(operations)
    hit = sum(is_hit(one) for one in some)
    succeeded = sum(bool(one["hits"].get("2xx")) for one in some)
    return {
        "total": len(some),
        "hit": hit,
        "percent": percent(hit, len(some)),
        "hit_2xx": succeeded,
        "percent_2xx": percent(succeeded, len(some)),
        "parameters": _share(one["totals"]["parameters"] for one in some),
        "fields": _share(one["totals"]["fields"] for one in some),
    }


def _share(parts: Iterable[HitCount]) -> HitShare:
    counts = list(parts)
    total = sum(one["total"] for one in counts)
    hit = sum(one["hit"] for one in counts)
    return {"total": total, "hit": hit, "percent": percent(hit, total)}


def _by_tag(operations: Iterable[OperationCoverage]) -> dict[str, list[OperationCoverage]]:
    found: dict[str, list[OperationCoverage]] = {}
    for one in operations:
        for tag in one["tags"]:
            found.setdefault(tag, []).append(one)
    return found


def operation_report(
    outline: Outline,
    offer: Offer,
    counts: Counts,
    caller: Callers | None = None,
    excluded: Container[str] = (),
) -> OperationCoverage:
    """The coverage of one operation."""
    operation = offer.operation
    named = counts.callers.get(offer.key, {})
    if caller is None:
        parts = counts.everyone.get(offer.key, Counter())
    else:
        named = {name: some for name, some in named.items() if caller(name)}
        parts = sum(named.values(), Counter())
    parameters = {
        name: parts[PARAMETER + name]
        for name in sorted(f"{one.where}:{one.name}" for one in operation.parameters)
    }
    fields = {name: parts[FIELD + name] for name in outline.field_names(offer)} if parts else {}
    return {
        "operation": offer.key,
        "operationId": operation.operation_id,
        "level": offer.level,
        "tags": list(operation.tags),
        "deprecated": operation.deprecated,
        "excluded": operation.operation_id in excluded,
        "hits": _with(parts, HIT),
        "watch": _with(parts, WATCH),
        "deviating": parts[DEVIATING],
        "refused": parts[REFUSED],
        "bodies_unseen": parts[UNSEEN],
        "totals": {
            "parameters": {"total": len(parameters), "hit": _hit(parameters)},
            "fields": {"total": outline.field_count(offer), "hit": _hit(fields)},
        },
        "parameters": parameters,
        "fields": fields,
        "keywords": None if counts.keywords is None else _keywords(outline, offer, counts.keywords),
        "unknown": dict(counts.unknown_parts.get(offer.key, Counter()).most_common()),
        "consumers": {
            name: {"hits": _with(some, HIT), "watch": _with(some, WATCH)}
            for name, some in sorted(named.items(), key=lambda entry: (-calls(entry[1]), entry[0]))
        },
    }


def _keywords(outline: Outline, offer: Offer, counts: Mapping[str, Counter[str]]) -> dict[str, int]:
    hit = counts.get(offer.key, Counter())
    return {name: hit[name] for name in outline.keywords(offer).names}


def _keyword_count(one: OperationCoverage) -> HitCount:
    found = one["keywords"] or {}
    return {"total": len(found), "hit": _hit(found)}


def _hit(parts: Mapping[str, int]) -> int:
    return sum(map(bool, parts.values()))


def _with(parts: Mapping[str, int], start: str) -> dict[str, int]:
    return {name[len(start) :]: n for name, n in sorted(parts.items()) if name.startswith(start) and n}


def calls(parts: Mapping[str, int]) -> int:
    """Exchanges; each has exactly one of these parts."""
    return sum(n for name, n in parts.items() if name.startswith((HIT, WATCH)))
