"""Coverage of an API's specifications."""

from __future__ import annotations

from server.client.models import Model


class CoveredPart(Model, frozen=True):
    """Parts, and how many of them were exercised."""

    total: int
    hit: int


class PartTotals(CoveredPart, frozen=True):
    """Parts, and how many of them were exercised, with the percentage."""

    percent: float | None


class ConsumerTotals(PartTotals, frozen=True):
    """Operations that one consumer called, without deprecated ones."""

    hit_2xx: int
    percent_2xx: float | None


class CoverageTotals(ConsumerTotals, frozen=True):
    """Operations; deprecated ones are counted apart."""

    parameters: PartTotals
    fields: PartTotals


class CoverageOfConsumer(ConsumerTotals, frozen=True):
    """Operations that one consumer called; `calls` includes watches."""

    calls: int
    levels: dict[str, ConsumerTotals]


class CoverageCalls(Model, frozen=True):
    """Calls by class of status."""

    hits: dict[str, int]
    watch: dict[str, int]


class OperationParts(Model, frozen=True):
    """The parts of an operation."""

    parameters: CoveredPart
    fields: CoveredPart


class CoveredOperation(CoverageCalls, frozen=True):
    """An operation, with the calls of it and of each parameter and field."""

    operation: str
    operationId: str | None
    level: str
    tags: list[str]
    deprecated: bool
    excluded: bool
    deviating: int
    refused: int
    bodies_unseen: int
    totals: OperationParts
    parameters: dict[str, int]
    fields: dict[str, int]
    keywords: dict[str, int] | None
    unknown: dict[str, int]
    consumers: dict[str, CoverageCalls]


class Undescribed(Model, frozen=True):
    """Calls that no operation describes."""

    method: str
    path: str
    hits: dict[str, int]


class Titled(Model, frozen=True):
    """A specification by title and version."""

    title: str
    version: str


class CoverageConfidence(Model, frozen=True):
    """What capture missed: what is not covered may have been called there."""

    http_bytes: int
    unseen_bytes: int
    unseen_percent: float | None
    tls_bytes_before_probes: int


class Coverage(CoverageTotals, frozen=True):
    """The parts of a specification that were exercised, and by whom."""

    spec: Titled
    exchanges: int
    keywords: PartTotals | None
    confidence: CoverageConfidence | None
    levels: dict[str, CoverageTotals]
    tags: dict[str, CoverageTotals]
    deprecated: CoverageTotals
    excluded: CoverageTotals
    consumers: dict[str, CoverageOfConsumer]
    operations: list[CoveredOperation]
    unknown: list[Undescribed]


class GapOperation(CoverageCalls, frozen=True):
    """An operation that some consumers use and others do not."""

    operation: str
    operationId: str | None
    level: str
    deprecated: bool
    described: bool
    calls: int
    consumers: dict[str, CoverageCalls]


class GapPart(Model, frozen=True):
    """A part of an operation that some consumers use and others do not."""

    operation: str
    kind: str
    part: str
    calls: int


class Gaps(Model, frozen=True):
    """What some consumers use and others do not."""

    operations: list[GapOperation]
    parts: list[GapPart]
