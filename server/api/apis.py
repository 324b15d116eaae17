"""The inventory: APIs and their operations."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from server.api import models, render
from server.api.context import Here
from server.api.gate import TokenRole, require
from server.api.known import MOVED, KnownApi, check_id
from server.api.paging import DEFAULT_LIMIT, After, ApiFilters, Limit, OperationFilters, decode, page
from server.services.inventory import OperationState

router = APIRouter(
    prefix="/api/v1/apis", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["inventory"]
)


@router.get("")
def list_apis(
    here: Here, filters: ApiFilters, limit: Limit = DEFAULT_LIMIT, cursor: After = None
) -> models.Page[models.Api]:
    """APIs, most recently called first."""
    return page(here.inventory.apis(filters, limit, decode(cursor)), render.api)


@router.get("/{id}", responses=MOVED)
def get_api(request: Request, here: Here, id: str) -> models.Api:
    """One API, by its id or that of an API merged into it."""
    found = here.inventory.api(id)
    check_id(request, found.id)
    return render.api(found)


@router.get("/{id}/operations", responses=MOVED)
def list_operations(
    here: Here,
    id: str,
    api: KnownApi,
    filters: OperationFilters,
    state: Annotated[
        OperationState | None,
        Query(
            description="shadow: called and not described; zombie: called though deprecated; unused:"
            " described and never called, in the document's order. Without it all that were called."
        ),
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> models.Page[models.Operation]:
    """An API's operations, busiest first."""
    after = decode(cursor)
    if state is OperationState.UNUSED:
        return page(here.inventory.unused(api, limit, after), partial(render.unused, id))
    return page(here.inventory.operations(filters, state, limit, after, api), render.operation)
