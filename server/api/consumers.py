"""Consumers, and calls over time."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from server.api import models, render
from server.api.context import Here
from server.api.gate import TokenRole, require
from server.api.paging import DEFAULT_LIMIT, After, ConsumerFilters, Limit, decode, page
from server.services.consumers import Period

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["consumers"])


class PeriodName(StrEnum):
    HOUR = "hour"
    DAY = "day"


@router.get("/consumers")
def list_consumers(
    here: Here, filters: ConsumerFilters, limit: Limit = DEFAULT_LIMIT, cursor: After = None
) -> models.Page[models.ConsumerCalls]:
    """Consumers, busiest first, with the calls that the filters select. `deprecated=yes` lists those who must
    be told.
    """
    return page(here.consumers.listed(filters, limit, decode(cursor)), render.consumer)


@router.get("/consumers/{id}")
def get_consumer(here: Here, id: str) -> models.ConsumerCalls:
    """One consumer, with all its calls."""
    return render.consumer(here.consumers.one(id))


@router.get("/consumers/{id}/operations")
def list_consumer_operations(
    here: Here, id: str, limit: Limit = DEFAULT_LIMIT, cursor: After = None
) -> models.Page[models.ConsumerOperation]:
    """The operations that a consumer calls, most called first, by status."""
    return page(here.consumers.operations(id, limit, decode(cursor)), render.consumer_operation)


@router.get("/stats")
def get_stats(
    here: Here,
    filters: ConsumerFilters,
    by: Annotated[PeriodName, Query(description="The length of a period.")] = PeriodName.HOUR,
) -> models.Stats:
    """Calls over time, oldest first: of the last 24 hours, or from `since` on. Of calls older
    than 30 days only the day is known.
    """
    found = here.consumers.over_time(filters, Period[by.name])
    return models.Stats(items=[render.period(one) for one in found])
