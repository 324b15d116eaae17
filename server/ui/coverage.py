"""Coverage of an API's specifications: which parts were used, and by whom."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from server.api import render
from server.api.context import Here
from server.api.known import KnownApi
from server.services.coverage import Scope
from server.ui.door import Page, admin, asked_of, page

OPERATIONS = 500  # rows

router = APIRouter(route_class=Page, include_in_schema=False, dependencies=[Depends(admin)])

Name = Annotated[str, Query(max_length=300)]


@router.get("/apis/{id}/coverage")
def coverage_page(
    request: Request,
    here: Here,
    id: str,
    api: KnownApi,
    consumer: Name = "",
    tag: Name = "",
    level: Literal["", "stable", "beta", "alpha"] = "",
) -> Response:
    found = here.coverage.of_api(api, Scope(level=level or None, tag=tag or None), consumer or None)
    ordered = sorted(found["operations"], key=lambda one: bool(one["hits"]))
    return page(
        request,
        "coverage.html",
        api=render.api(here.inventory.api(id)),
        found=found,
        operations=ordered[:OPERATIONS],
        tags=sorted({tag for one in found["operations"] for tag in one["tags"]}),
        asked=dict(asked_of(request)),
        filters=asked_of(request),
    )
