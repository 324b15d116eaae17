"""The inventory: operations of all APIs, and of one."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Depends, Request, Response

from server.api import models, render
from server.api.context import Here
from server.api.downloads import FILES, Format, ListFormat, list_or_file
from server.api.gate import TokenRole, require
from server.api.known import MOVED, KnownApi
from server.api.paging import DEFAULT_LIMIT, After, Limit, OperationFilters, StateAsked
from server.services.inventory import OperationState
from server.services.narrowing import Filters

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
    return _operations(request, here, filters, state, format, limit, cursor)


@router.get(
    "/apis/{id}/operations", response_model=models.Page[models.Operation], responses={**MOVED, **FILES}
)
def list_operations(
    request: Request,
    here: Here,
    api: KnownApi,
    filters: OperationFilters,
    state: StateAsked = "",
    format: Format = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> models.Page[models.Operation] | Response:
    """An API's operations, busiest first."""
    return _operations(request, here, filters, state, format, limit, cursor, api)


def _operations(
    request: Request,
    here: Here,
    filters: Filters,
    state: str,
    format: ListFormat | None,
    limit: int,
    cursor: str | None,
    api: int | None = None,
) -> models.Page[models.Operation] | Response:
    """The operations of a state, "" for all that were called; of all APIs, or of one."""
    wanted = OperationState(state) if state else None
    if wanted is OperationState.UNUSED:
        unused = partial(here.inventory.unused, filters, api=api)
        return list_or_file(request, format, "operations", unused, render.unused, limit, cursor)
    read = partial(here.inventory.operations, filters, wanted, api=api)
    return list_or_file(request, format, "operations", read, render.operation, limit, cursor)
