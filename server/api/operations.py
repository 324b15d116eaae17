"""Operations of all APIs."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from server.api import models, render
from server.api.context import Here
from server.api.gate import TokenRole, require
from server.api.paging import DEFAULT_LIMIT, After, CalledState, Limit, Narrow, decode, page
from server.services.inventory import OperationState

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["inventory"])


@router.get("/operations")
def list_all_operations(
    here: Here, narrow: Narrow, state: CalledState = "", limit: Limit = DEFAULT_LIMIT, cursor: After = None
) -> models.Page[models.Operation]:
    """Operations of all APIs, busiest first."""
    found = here.inventory.operations_of_all(
        narrow, OperationState(state) if state else None, limit, decode(cursor)
    )
    return page(found, render.operation)
