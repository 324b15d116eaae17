"""The fields of queries, for completion."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from server.api import models
from server.api.gate import TokenRole, require
from server.query.fields import ListName, fields_of

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["queries"])


@router.get("/query/fields")
def list_query_fields(
    of: Annotated[ListName, Query(alias="list", description="The list that the query narrows.")],
) -> models.QueryFields:
    """The fields of a list's queries, with their usual values if these are few."""
    found = [
        models.QueryFieldInfo(
            name=field.name, meaning=field.meaning, example=field.example, values=[*field.choices]
        )
        for field in fields_of(of).values()
    ]
    return models.QueryFields(items=found)
