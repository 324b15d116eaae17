"""Whole exchanges, as long as retention keeps them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from server.api import models, render
from server.api.errors import Problem
from server.api.gate import Role, require
from server.api.paging import DEFAULT_LIMIT, After, Limit, Narrowed, decode, page, store_of
from server.services.listing import Listed
from server.store import queries

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(Role.ADMIN))], tags=["exchanges"])

Narrow = Annotated[Narrowed, Depends()]


@router.get("/exchanges", response_model=models.Page[models.Exchange])
def list_exchanges(
    request: Request, narrow: Narrow, limit: Limit = DEFAULT_LIMIT, cursor: After = None
) -> Any:
    """Exchanges, newest first. A page may hold fewer than `limit` where bodies are large; follow `next`."""
    after = decode(cursor)
    with store_of(request).reading() as db:
        rows, more = queries.exchanges(db, narrow.filters(db), limit, after)
    return page(Listed(rows, more), "time", render.exchange)


@router.get("/exchanges/{id}", response_model=models.Exchange)
def get_exchange(request: Request, id: str) -> Any:
    """One exchange, by the id of any of its witnesses."""
    with store_of(request).reading() as db:
        row = queries.exchange(db, id)
    if row is None:
        raise Problem(HTTPStatus.NOT_FOUND, "there is no exchange of this id (any more)")
    return render.exchange(row)
