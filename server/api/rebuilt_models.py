"""The responses about learned documents."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from server.api.models import Time


class Change(BaseModel):
    operation: str = Field(description='Such as "GET /users/{}".')
    part: str = Field(description="A parameter, body or response of it; empty for the operation itself.")
    what: str
    breaking: bool


class Version(BaseModel):
    version: str
    time: Time
    breaking: bool = Field(description="Whether it breaks clients of the previous version.")
    changes: list[Change]


class RefusedOperation(BaseModel):
    method: str
    path: str = Field(examples=["/users/{userId}"])
    calls: int
    statuses: dict[int, int] = Field(description="Calls by the status of their answer.")


class Refused(BaseModel):
    items: list[RefusedOperation] = Field(
        description="Without those of which the server says that there are none: 404, 405, 410, 501."
    )


class Diff(BaseModel):
    from_: str = Field(alias="from", serialization_alias="from")
    to: str
    breaking: bool
    changes: list[Change]


class Decision(BaseModel):
    """For paths, `place` are the segments before the parameter, "{}" for another parameter."""

    kind: Literal["merge", "split", "rename", "retype", "fix"] = Field(
        description="merge: what stands at the place are values of one parameter; split: `word` there is no"
        " value; rename: the parameter is called `name`; retype: it is of `type`; fix: a parameter or field"
        " is what `schema` says."
    )
    place: list[str] | None = Field(None, max_length=32, examples=[["users"]])
    word: str | None = Field(None, max_length=200)
    name: str | None = Field(None, max_length=64)
    type: str | None = Field(None, max_length=20)
    operation: str | None = Field(None, max_length=2000, examples=["GET /users/{}"])
    where: str | None = Field(None, max_length=20)
    pointer: str | None = Field(None, max_length=1000)
    schema_: dict[str, Any] | None = Field(None, alias="schema", serialization_alias="schema")


class Decided(BaseModel):
    id: int
    time: Time
    decision: Decision


class Decisions(BaseModel):
    items: list[Decided] = Field(description="In the order of the decisions.")
