"""Who calls: all consumers, and one of them."""

from __future__ import annotations

import csv
import io

from fastapi import APIRouter, Depends, Request, Response

from server.api import render
from server.api.context import Here
from server.api.paging import After, ConsumerFilters, decode, encode
from server.services.narrowing import Cursor
from server.ui.charts import by_status
from server.ui.door import Page, admin, asked_of, page

CONSUMERS = 100
OPERATIONS = 200
MOST_TOLD = 10_000  # lines
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings that spreadsheets take for a formula."""

router = APIRouter(route_class=Page, include_in_schema=False, dependencies=[Depends(admin)])


@router.get("/consumers")
def consumers_page(request: Request, here: Here, filters: ConsumerFilters, cursor: After = None) -> Response:
    found = here.consumers.listed(filters, CONSUMERS, decode(cursor))
    return page(request, "consumers.html", consumers=found, next=_next(found.next), filters=asked_of(request))


@router.get("/consumers/{id}")
def consumer_page(request: Request, here: Here, id: str, cursor: After = None) -> Response:
    one = here.consumers.one(id)
    found = here.consumers.operations(id, OPERATIONS, decode(cursor))
    return page(
        request,
        "consumer.html",
        one=one,
        operations=found,
        next=_next(found.next),
        by_status=by_status(here.consumers.week_of(one)),
    )


@router.get("/deprecated.csv")
def must_be_told(here: Here) -> Response:
    """Who calls which deprecated operations: a line for each, for people to tell them."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(["consumer", "known by", "api", "operation", "calls", "first seen", "last seen"])
    for one, operation in here.consumers.callers_of_deprecated(MOST_TOLD):
        lines.writerow(
            [
                _cell(one.name),
                one.kind,
                _cell(operation.api_name),
                _cell(operation.key),
                operation.calls,
                render.time(operation.first_seen),
                render.time(operation.last_seen),
            ]
        )
    return Response(text.getvalue(), media_type="text/csv; charset=utf-8")


def _cell(captured: str) -> str:
    """A captured text that no spreadsheet takes for a formula."""
    return f"'{captured}" if captured.startswith(FORMULA) else captured


def _next(cursor: Cursor | None) -> str | None:
    return None if cursor is None else encode(cursor)
