"""The inventory: APIs."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Depends, Request, Response

from server.api import models, render
from server.api.context import Here
from server.api.downloads import FILES, Format, list_or_file
from server.api.gate import TokenRole, require
from server.api.known import MOVED, check_id
from server.api.paging import DEFAULT_LIMIT, After, ApiFilters, Limit

router = APIRouter(
    prefix="/api/v1/apis", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["inventory"]
)


@router.get("", response_model=models.Page[models.Api], responses=FILES)
def list_apis(
    request: Request,
    here: Here,
    filters: ApiFilters,
    format: Format = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> models.Page[models.Api] | Response:
    """APIs, most recently called first."""
    read = partial(here.inventory.apis, filters)
    return list_or_file(request, format, "apis", read, render.api, limit, cursor)


@router.get("/{id}", responses=MOVED)
def get_api(request: Request, here: Here, id: str) -> models.Api:
    """One API, by its id or that of an API merged into it."""
    found = here.inventory.api(id)
    check_id(request, found.id)
    return render.api(found)
