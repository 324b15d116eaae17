"""Stored exchanges."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from server.api import exchange_models, models, render
from server.api.context import Here
from server.api.downloads import FILES, ExchangesFormat, asked_format, csv_file, har_file
from server.api.gate import TokenRole, require
from server.api.paging import DEFAULT_LIMIT, After, CountedExchanges, ExchangeFilters, Limit, decode, page
from server.store.rows import FacetField

DEFAULT_FACETS = (FacetField.STATUS, FacetField.VERDICT, FacetField.METHOD)

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["exchanges"])


@router.get("/exchanges", response_model=models.Page[exchange_models.Exchange], responses=FILES)
def list_exchanges(
    request: Request,
    here: Here,
    filters: ExchangeFilters,
    format: ExchangesFormat = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> models.Page[exchange_models.Exchange] | Response:
    """Exchanges, newest first. A page may have fewer than `limit` if bodies are large; follow `next`."""
    read = partial(here.exchanges.listed, filters)
    wanted = asked_format(request, format)
    if wanted == "har":
        return har_file(read, render.exchange)
    if wanted == "csv":
        return csv_file("exchanges", read, render.exchange)
    return page(read(limit, decode(cursor)), render.exchange)


@router.get("/facets")
def get_facets(
    here: Here,
    filters: CountedExchanges,
    fields: Annotated[
        list[FacetField] | None, Query(description="May be repeated. Default: status, verdict and method.")
    ] = None,
) -> models.Facets:
    """How many exchanges a query selects, and by which values: counts of the newest 10,000 of them."""
    wanted = [*dict.fromkeys(fields or DEFAULT_FACETS)]
    return render.facets(here.exchanges.facets(filters, wanted))


@router.get("/exchanges/{id}")
def get_exchange(here: Here, id: str) -> exchange_models.Exchange:
    """One exchange, by the id of any of its witnesses."""
    return render.exchange(here.exchanges.one(id))
