"""Operations of all APIs."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from server.api import models, render
from server.api.context import Here
from server.api.gate import TokenRole, require
from server.api.paging import DEFAULT_LIMIT, After, CalledState, Limit, OperationFilters, decode, page
from server.services.inventory import OperationState

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["inventory"])


@router.get("/operations")
def list_all_operations(
    here: Here,
    filters: OperationFilters,
    state: CalledState = "",
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> models.Page[models.Operation]:
    """Operations of all APIs, busiest first."""
    wanted = OperationState(state) if state else None
    return page(here.inventory.operations(filters, wanted, limit, decode(cursor)), render.operation)
