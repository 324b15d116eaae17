"""The response about a proposed document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class TriedOperation(BaseModel):
    operation: str = Field(description="As it is counted at present.")
    counted: int = Field(description="All calls that were counted.")
    replayed: int = Field(description="The stored calls that were judged by the document.")
    broken: int = Field(description="The replayed calls that deviate from it where they do not deviate now.")
    estimated: int | None = Field(
        description="The broken calls among the counted ones; null if none was replayed."
    )
    extrapolated: bool = Field(description="Whether `estimated` is more than was replayed.")


class TriedConsumer(BaseModel):
    kind: str
    name: str
    replayed: int
    broken: int
    operations: list[str] = Field(description="The operations with broken calls.")


class TriedDifference(BaseModel):
    operation: str
    kind: str = Field(description="The kind of the deviation.")
    where: str
    place: str
    message: str
    calls: int
    consumers: int
    samples: list[str] = Field(description="Ids of exchanges.")


class TriedChange(BaseModel):
    operation: str = Field(description='Such as "GET /users/{}".')
    part: str = Field(description="A parameter, body or response of it; empty for the operation itself.")
    what: str
    used: bool = Field(description="Whether a replayed call breaks there.")


class TryoutReport(BaseModel):
    api: str = Field(description="The id of the API whose calls were replayed.")
    title: str
    version: str
    counted: int
    replayed: int
    cut: Literal["limit", "time"] | None = Field(
        description="Why only the newest stored calls were replayed: the limit in the request, or the time"
        " that it may take; null if all were."
    )
    broken: int
    share: float | None = Field(
        description="Of the counted calls those that would break, estimated for each operation from its"
        " replayed calls; null if none was replayed."
    )
    extrapolated: bool = Field(description="Whether fewer calls were replayed than counted.")
    operations: list[TriedOperation] = Field(description="Those with most broken calls first.")
    consumers: list[TriedConsumer] = Field(description="Those whose calls break.")
    differences: list[TriedDifference] = Field(description="What breaks calls, most frequent first.")
    unlisted: int = Field(description="Deviations of broken calls beyond 1,000 differences.")
    changes: list[TriedChange] = Field(
        description="Breaking changes against the API's present specification; none if it has none."
    )
