"""The inventory: APIs and their operations."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from server.api import models, render
from server.api.gate import Role, require
from server.api.paging import DEFAULT_LIMIT, After, Limit, Narrowed, cut, decode, page, store_of
from server.ingest.attach import UnknownApi
from server.store import queries
from server.store.queries import Filters

router = APIRouter(prefix="/api/v1/apis", dependencies=[Depends(require(Role.ADMIN))], tags=["inventory"])

Narrow = Annotated[Narrowed, Depends()]


@router.get("", response_model=models.Page[models.Api])
def list_apis(request: Request, narrow: Narrow, limit: Limit = DEFAULT_LIMIT, cursor: After = None) -> Any:
    """APIs, most recently called first."""
    after = decode(cursor)
    with store_of(request).reading() as db:
        rows = queries.apis(db, narrow.filters(db), limit + 1, after)
    return page(*cut(rows, limit), "last_seen", render.api)


@router.get("/{id}", response_model=models.Api)
def get_api(request: Request, id: str) -> Any:
    """One API, by its id or that of an API that turned out to be this one."""
    with store_of(request).reading() as db:
        number = queries.number_of_api(db, id)
        rows = [] if number is None else queries.apis(db, Filters(api=number), 1, None)
    if not rows:
        raise UnknownApi
    return render.api(rows[0])


@router.get("/{id}/operations", response_model=models.Page[models.Operation])
def list_operations(
    request: Request, id: str, narrow: Narrow, limit: Limit = DEFAULT_LIMIT, cursor: After = None
) -> Any:
    """An API's operations that were called, busiest first."""
    after = decode(cursor)
    with store_of(request).reading() as db:
        number = queries.number_of_api(db, id)
        if number is None:
            raise UnknownApi
        rows = queries.operations(db, number, narrow.filters(db), limit + 1, after)
    return page(*cut(rows, limit), "count", render.operation)
