"""Consumers, and calls over time."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from server.api import models, render
from server.api.context import Here
from server.api.downloads import FILES, Format, list_or_file
from server.api.gate import TokenRole, require
from server.api.paging import DEFAULT_LIMIT, After, ConsumerFilters, CountedCalls, Limit
from server.services.consumers import Period

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["consumers"])


class PeriodName(StrEnum):
    HOUR = "hour"
    DAY = "day"


@router.get("/consumers", response_model=models.Page[models.ConsumerCalls], responses=FILES)
def list_consumers(
    request: Request,
    here: Here,
    filters: ConsumerFilters,
    format: Format = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> models.Page[models.ConsumerCalls] | Response:
    """Consumers, busiest first, with the calls that the filters select. `deprecated=yes` lists those who must
    be told.
    """
    read = partial(here.consumers.listed, filters)
    return list_or_file(request, format, "consumers", read, render.consumer, limit, cursor)


@router.get("/consumers/{id}")
def get_consumer(here: Here, id: str) -> models.ConsumerCalls:
    """One consumer, with all its calls."""
    return render.consumer(here.consumers.one(id))


@router.get(
    "/consumers/{id}/operations", response_model=models.Page[models.ConsumerOperation], responses=FILES
)
def list_consumer_operations(
    request: Request,
    here: Here,
    id: str,
    filters: CountedCalls,
    format: Format = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> models.Page[models.ConsumerOperation] | Response:
    """The operations that a consumer calls, most called first, by status."""
    here.consumers.one(id)  # if there is none, before a file begins
    read = partial(here.consumers.operations, id, filters=filters)
    return list_or_file(
        request, format, "consumer-operations", read, render.consumer_operation, limit, cursor
    )


@router.get("/stats")
def get_stats(
    here: Here,
    filters: CountedCalls,
    by: Annotated[PeriodName, Query(description="The length of a period.")] = PeriodName.HOUR,
) -> models.Stats:
    """Calls over time by status, verdict and fault, oldest first: of the last 24 hours, or from `since` on.
    Of calls older than 30 days only the day is known.
    """
    found = here.consumers.over_time(filters, Period[by.name])
    return models.Stats(items=[render.period(one) for one in found])
