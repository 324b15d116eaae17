"""Stored exchanges."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from server.api import exchange_models, models, render
from server.api.context import Here
from server.api.gate import TokenRole, require
from server.api.paging import DEFAULT_LIMIT, After, ExchangeFilters, Limit, decode, page

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["exchanges"])


@router.get("/exchanges")
def list_exchanges(
    here: Here, filters: ExchangeFilters, limit: Limit = DEFAULT_LIMIT, cursor: After = None
) -> models.Page[exchange_models.Exchange]:
    """Exchanges, newest first. A page may have fewer than `limit` if bodies are large; follow `next`."""
    return page(here.exchanges.listed(filters, limit, decode(cursor)), render.exchange)


@router.get("/exchanges/{id}")
def get_exchange(here: Here, id: str) -> exchange_models.Exchange:
    """One exchange, by the id of any of its witnesses."""
    return render.exchange(here.exchanges.one(id))
