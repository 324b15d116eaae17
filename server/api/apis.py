"""The inventory: APIs and their operations."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from server.analysis.specs.kinds import Verdict
from server.api import models, render
from server.api.gate import Role, require
from server.api.known import KnownApi
from server.api.paging import DEFAULT_LIMIT, After, Limit, Narrowed, catalogue_of, decode, page, store_of
from server.services.errors import UnknownApi
from server.services.listing import Listed
from server.store import queries
from server.store.queries import Cursor, Filters

router = APIRouter(prefix="/api/v1/apis", dependencies=[Depends(require(Role.ADMIN))], tags=["inventory"])

Narrow = Annotated[Narrowed, Depends()]


@router.get("", response_model=models.Page[models.Api])
def list_apis(request: Request, narrow: Narrow, limit: Limit = DEFAULT_LIMIT, cursor: After = None) -> Any:
    """APIs, most recently called first."""
    after = decode(cursor)
    with store_of(request).reading() as db:
        rows = queries.apis(db, narrow.filters(db), limit + 1, after)
    return page(Listed.cut(rows, limit), "last_seen", render.api)


@router.get("/{id}", response_model=models.Api)
def get_api(request: Request, api: KnownApi) -> Any:
    """One API, by its id or that of an API that turned out to be this one."""
    with store_of(request).reading() as db:
        rows = queries.apis(db, Filters(api=api), 1, None)
    if not rows:
        raise UnknownApi
    return render.api(rows[0])


class Seen(StrEnum):
    """How an operation stands to the specification and to traffic."""

    SHADOW = "shadow"
    ZOMBIE = "zombie"
    UNUSED = "unused"


@router.get("/{id}/operations", response_model=models.Page[models.Operation])
def list_operations(
    request: Request,
    api: KnownApi,
    narrow: Narrow,
    state: Annotated[
        Seen | None,
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
    with store_of(request).reading() as db:
        if state is Seen.UNUSED:
            return _unused(request, api, queries.called(db, api), limit, after)
        filters = narrow.filters(db)
        if state is Seen.SHADOW:
            filters = replace(filters, verdict=Verdict.SHADOW)
        deprecated = True if state is Seen.ZOMBIE else None
        rows = queries.operations(db, api, filters, limit + 1, after, deprecated)
    return page(Listed.cut(rows, limit), "count", render.operation)


def _unused(request: Request, api: int, called: set[str], limit: int, after: Cursor | None) -> dict[str, Any]:
    """Operations of the specifications as they are now."""
    specifications = catalogue_of(request).of_api(api)
    known = {key: one for each in specifications for key, one in each.operations.items() if key not in called}
    first = after[1] + 1 if after else 0
    rows = [{"number": first + i, "spec": one} for i, one in enumerate([*known.values()][first:])]
    return page(Listed.cut(rows[: limit + 1], limit), "count", lambda row: render.unused(row["spec"]))
