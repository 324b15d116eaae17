"""The responses of the coverage routes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class CoveredPart(BaseModel):
    total: int
    hit: int


class PartTotals(CoveredPart):
    percent: float | None


class OperationParts(BaseModel):
    parameters: CoveredPart
    fields: CoveredPart


class CoverageTotals(BaseModel):
    """Operations; deprecated ones are counted apart."""

    total: int
    hit: int = Field(description="Called operations, conforming or not; a watch does not count as a list.")
    percent: float | None
    hit_2xx: int
    percent_2xx: float | None
    parameters: PartTotals
    fields: PartTotals


class ConsumerTotals(BaseModel):
    """Operations that one consumer called, without deprecated ones."""

    total: int
    hit: int
    percent: float | None
    hit_2xx: int
    percent_2xx: float | None


class CoverageOfConsumer(ConsumerTotals):
    calls: int = Field(description="Exchanges, watches included.")
    levels: dict[str, ConsumerTotals] = Field(description="stable, beta and alpha apart.")


class CoverageCalls(BaseModel):
    hits: dict[str, int] = Field(description="By status class: 2xx, …; none without a response.")
    watch: dict[str, int] = Field(description="The same for watches of lists.")


class CoveredOperation(CoverageCalls):
    operation: str
    operationId: str | None
    level: str
    tags: list[str]
    deprecated: bool
    excluded: bool = Field(description="Left out of the totals, by `spectap coverage --exclude` alone.")
    deviating: int
    refused: int = Field(description="Wrong requests that the server refused as described.")
    bodies_unseen: int = Field(description="Exchanges with a body that was not completely captured.")
    totals: OperationParts
    parameters: dict[str, int]
    fields: dict[str, int] = Field(description="By JSON pointer, with * for items; empty if never called.")
    keywords: dict[str, int] | None = Field(description="With `spectap coverage --keywords` alone.")
    unknown: dict[str, int] = Field(
        description="Parameters and fields that were sent and are not described, of all consumers."
    )
    consumers: dict[str, CoverageCalls]


class Undescribed(BaseModel):
    method: str
    path: str
    hits: dict[str, int] = Field(
        description="By status class; probe: the server says that there is no such operation."
    )


class Titled(BaseModel):
    title: str
    version: str


class CoverageConfidence(BaseModel):
    http_bytes: int = Field(description="Of HTTP, seen or not, by the ledgers of the agents.")
    unseen_bytes: int = Field(description="Of them those that no exchange shows.")
    unseen_percent: float | None
    tls_bytes_before_probes: int = Field(description="Of TLS, before its library was captured.")


class Coverage(CoverageTotals):
    spec: Titled
    exchanges: int
    keywords: PartTotals | None = Field(description="With `spectap coverage --keywords` alone.")
    confidence: CoverageConfidence | None = Field(
        description="What capture missed: what is not covered may have been called there."
    )
    levels: dict[str, CoverageTotals]
    tags: dict[str, CoverageTotals]
    deprecated: CoverageTotals
    excluded: CoverageTotals
    consumers: dict[str, CoverageOfConsumer] = Field(description="By name, most calls first.")
    operations: list[CoveredOperation]
    unknown: list[Undescribed]


class GapOperation(CoverageCalls):
    operation: str
    operationId: str | None
    level: str
    deprecated: bool
    described: bool
    calls: int
    consumers: dict[str, CoverageCalls]


class GapPart(BaseModel):
    operation: str
    kind: Literal["hits", "parameters", "fields"]
    part: str
    calls: int


class Gaps(BaseModel):
    operations: list[GapOperation]
    parts: list[GapPart]
