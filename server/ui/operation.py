"""One operation: what is seen of it, beside what the specification says."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from server.api import render
from server.api.context import Here
from server.api.known import KnownApi
from server.api.paging import page as listed
from server.ui.charts import by_status, by_verdict, of_latency
from server.ui.door import Page, admin, page
from server.ui.marked import excerpt_lines

MAX_CONSUMERS = 1000

router = APIRouter(route_class=Page, include_in_schema=False, dependencies=[Depends(admin)])


@router.get("/apis/{id}/operations/{operation}")
def operation_page(request: Request, here: Here, id: str, api: KnownApi, operation: str) -> Response:
    found = here.overview.of_operation(id, operation)
    excerpt, only = found.excerpt, found.only
    week = here.consumers.week(only)
    return page(
        request,
        "operation.html",
        api=render.api(found.api),
        one=render.operation(found.operation),
        by_status=by_status(week),
        by_verdict=by_verdict(week),
        latency=of_latency(found.operation.latency),
        consumers=here.consumers.listed(only, MAX_CONSUMERS, None).rows,
        deviations=listed(found.deviations, render.deviation),
        exchanges=listed(found.exchanges, render.exchange),
        title=found.title,
        place=excerpt.place if excerpt else None,
        excerpt=excerpt_lines(excerpt) if excerpt else [],
        coverage=here.coverage.of_operation(api, found.operation.key),
    )
