"""The JSON documents of coverage: the report, and the gaps between two of them.

All counts are exchanges unless a `total` or `hit` says otherwise; percentages have two decimals and are null
where there is nothing to hit.
"""

from __future__ import annotations

from typing import Literal, TypedDict


class HitCount(TypedDict):
    """The number of parts or operations, and how many of them were exercised."""

    total: int
    hit: int


class HitShare(HitCount):
    percent: float | None


class PartCounts(TypedDict):
    parameters: HitCount
    fields: HitCount


class CallCounts(TypedDict):
    """By status class ("2xx", …, "none" without a response); watches are separate."""

    hits: dict[str, int]
    watch: dict[str, int]


class CoverageShare(HitShare):
    """The share of operations, with the totals of their parts."""

    hit_2xx: int
    percent_2xx: float | None
    parameters: HitShare
    fields: HitShare


class ConsumerShare(HitShare):
    """The share of operations that one consumer called."""

    hit_2xx: int
    percent_2xx: float | None


class ConsumerCoverage(ConsumerShare):
    """`calls` includes watches, which exercise no operation."""

    calls: int
    levels: dict[str, ConsumerShare]


class OperationCoverage(CallCounts):
    """`fields` is empty if the operation was not called, `keywords` null unless asked for. `unknown` has the
    parameters and fields that were sent and are not described.
    """

    operation: str
    operationId: str | None
    level: str
    tags: list[str]
    deprecated: bool
    excluded: bool
    deviating: int
    refused: int
    bodies_unseen: int
    totals: PartCounts
    parameters: dict[str, int]
    fields: dict[str, int]
    keywords: dict[str, int] | None
    unknown: dict[str, int]
    consumers: dict[str, CallCounts]


class UnknownCalls(TypedDict):
    """Calls that no operation describes, by status class; `probe` if the server says that there is none."""

    method: str
    path: str
    hits: dict[str, int]


class SpecificationName(TypedDict):
    title: str
    version: str


class Confidence(TypedDict):
    """What capture missed, of all agents that deliver: bytes of HTTP, those that were not seen, and bytes of
    TLS before its library was probed. A part that is not covered may have been called there.
    """

    http_bytes: int
    unseen_bytes: int
    unseen_percent: float | None
    tls_bytes_before_probes: int


class CoverageReport(CoverageShare):
    """`confidence` is null for files: they do not say what they lack. `keywords` is null unless asked for."""

    spec: SpecificationName
    exchanges: int
    keywords: HitShare | None
    confidence: Confidence | None
    levels: dict[str, CoverageShare]
    tags: dict[str, CoverageShare]
    deprecated: CoverageShare
    excluded: CoverageShare
    consumers: dict[str, ConsumerCoverage]
    operations: list[OperationCoverage]
    unknown: list[UnknownCalls]


PartKind = Literal["hits", "parameters", "fields"]


class OperationGap(CallCounts):
    """`described` says whether the other report's specification has the operation."""

    operation: str
    operationId: str | None
    level: str
    deprecated: bool
    described: bool
    calls: int
    consumers: dict[str, CallCounts]


class PartGap(TypedDict):
    operation: str
    kind: PartKind
    part: str
    calls: int


class GapReport(TypedDict):
    operations: list[OperationGap]
    parts: list[PartGap]
