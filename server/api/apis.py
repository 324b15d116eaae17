"""The inventory: APIs and their operations."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from server.api import models, render
from server.api.context import Here
from server.api.gate import TokenRole, require
from server.api.known import KnownApi
from server.api.paging import DEFAULT_LIMIT, After, Limit, Narrow, decode, page
from server.services.inventory import OperationState
from server.services.listing import Listed

router = APIRouter(
    prefix="/api/v1/apis", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["inventory"]
)


@router.get("", response_model=models.Page[models.Api])
def list_apis(here: Here, narrow: Narrow, limit: Limit = DEFAULT_LIMIT, cursor: After = None) -> Any:
    """APIs, most recently called first."""
    return page(here.inventory.apis(narrow, limit, decode(cursor)), "last_seen", render.api)


@router.get("/{id}", response_model=models.Api)
def get_api(here: Here, api: KnownApi) -> Any:
    """One API, by its id or that of an API that turned out to be this one."""
    return render.api(here.inventory.api(api))


@router.get("/{id}/operations", response_model=models.Page[models.Operation])
def list_operations(
    here: Here,
    api: KnownApi,
    narrow: Narrow,
    state: Annotated[
        OperationState | None,
        Query(
            description="shadow: called and not described; zombie: called though deprecated; unused:"
            " described and never called, in the document's order. Without it all that were called."
        ),
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> Any:
    """An API's operations, busiest first."""
    after = decode(cursor)
    if state is not OperationState.UNUSED:
        return page(here.inventory.operations(api, narrow, state, limit, after), "count", render.operation)
    start = after[1] + 1 if after else 0
    found = here.inventory.unused(api, limit, start)
    numbered = [{"number": start + i, "spec": one} for i, one in enumerate(found.rows)]
    return page(Listed(numbered, found.more), "count", lambda row: render.unused(row["spec"]))
