"""Operations of all APIs."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Depends, Request, Response

from server.api import models, render
from server.api.context import Here
from server.api.downloads import FILES, Format, list_or_file
from server.api.gate import TokenRole, require
from server.api.paging import DEFAULT_LIMIT, After, Limit, OperationFilters, StateAsked
from server.services.inventory import OperationState

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["inventory"])


@router.get("/operations", response_model=models.Page[models.Operation], responses=FILES)
def list_all_operations(
    request: Request,
    here: Here,
    filters: OperationFilters,
    state: StateAsked = "",
    format: Format = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> models.Page[models.Operation] | Response:
    """Operations of all APIs, busiest first."""
    wanted = OperationState(state) if state else None
    if wanted is OperationState.UNUSED:
        unused = partial(here.inventory.unused, filters)
        return list_or_file(request, format, "operations", unused, render.unused, limit, cursor)
    read = partial(here.inventory.operations, filters, wanted)
    return list_or_file(request, format, "operations", read, render.operation, limit, cursor)
