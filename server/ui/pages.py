"""The pages: what the API says, for people. They read the store as the API does, in the same shapes."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from server.api import render
from server.api.context import Here
from server.api.deviations import StateAsked
from server.api.errors import Problem
from server.api.known import KnownApi
from server.api.paging import After, Narrowed, decode, store_of
from server.api.paging import page as listed
from server.api.rebuilt import get_reconstructed
from server.services.attaching import Target
from server.services.errors import UnknownApi
from server.services.listing import Listed
from server.services.specifications import Sent
from server.store import agents, decisions, queries, rebuilt
from server.store.queries import Filters
from server.ui import decide, login
from server.ui.door import FOLDER, Page, admin, page, secure
from server.ui.upload import uploaded

APIS = 25  # rows on one page: few enough that the latest deviations are not far below
OPERATIONS = 200
EXCHANGES = 50
DEVIATIONS = 100
LATEST = 20
LOST_BYTES = ("late", "ring_full", "table_full", "unread_at_exit")
LOST_EXCHANGES = (
    "redaction_failed",
    "queue_full",
    "spool_full",
    "spool_expired",
    "spool_unreadable",
    "refused",
    "unsent_at_exit",
)
PLAIN_HOST = re.compile(r"[\w.:\[\]-]+", re.ASCII)

router = APIRouter(route_class=Page, include_in_schema=False, dependencies=[Depends(admin)])

Narrow = Annotated[Narrowed, Depends()]


class Static(StaticFiles):
    """Files that are ours or vendored. The names of vendored folders hold the version."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        kept = "max-age=31536000, immutable" if path.startswith("vendor/") else "no-cache"
        response.headers["Cache-Control"] = kept
        secure(response.headers)
        return response


def install(app: FastAPI) -> None:
    """Adds the pages to the server."""
    app.include_router(login.router)
    app.include_router(router)
    app.include_router(decide.router)
    app.mount("/static", Static(directory=FOLDER / "static"))


@router.get("/")
def first_page(request: Request, cursor: After = None) -> Response:
    after = decode(cursor)
    with store_of(request).reading() as db:
        apis = queries.apis(db, Filters(), APIS + 1, after)
        latest = queries.deviations(db, Filters(), LATEST + 1, None)
        totals = queries.totals(db) | _ledger(agents.ledger(db))
        heard = agents.agents(db, 1, None)
    return page(
        request,
        "first.html",
        apis=listed(Listed.cut(apis, APIS), "last_seen", render.api),
        deviations=listed(Listed.cut(latest, LATEST), "last_seen", render.finding),
        totals=totals,
        heard=render.agent(heard[0]) if heard else None,
        server=_server(request),
        newest=after is None,
    )


def _ledger(ledger: dict[str, Any]) -> dict[str, int]:
    seen = ledger["agents"]
    counted, exchanges = seen.get("bytes", {}), seen.get("exchanges", {})
    return {
        "bytes": counted.get("parsed", 0),
        "bytes_lost": sum(counted.get(bucket, 0) for bucket in LOST_BYTES),
        "exchanges_lost": sum(exchanges.get(bucket, 0) for bucket in LOST_EXCHANGES),
    }


def _server(request: Request) -> str:
    """This server's URL, to be pasted into a shell."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host if PLAIN_HOST.fullmatch(host) else 'SERVER:8080'}"


@router.get("/apis/{id}")
def api_page(request: Request, number: KnownApi, cursor: After = None) -> Response:
    after = decode(cursor)
    with store_of(request).reading() as db:
        rows = queries.apis(db, Filters(api=number), 1, None)
        if not rows:
            raise UnknownApi
        operations = queries.operations(db, number, Filters(), OPERATIONS + 1, after)
        found = queries.deviations(db, Filters(api=number), LATEST + 1, None)
        exchanges, more = queries.exchanges(db, Filters(api=number), LATEST, None)
        learnt = rebuilt.newest_version(db, number)
    return page(
        request,
        "api.html",
        rebuilt=learnt,
        api=render.api(rows[0]),
        operations=listed(Listed.cut(operations, OPERATIONS), "count", render.operation),
        deviations=listed(Listed.cut(found, LATEST), "last_seen", render.finding),
        exchanges=listed(Listed(exchanges, more), "time", render.exchange),
        server=_server(request),
        newest=after is None,
    )


@router.get("/apis/{id}/reconstructed")
def reconstructed(request: Request, api: KnownApi) -> Response:
    """The newest rebuilt document, as the API answers it."""
    return get_reconstructed(request, api)


@router.post("/apis/{id}/spec")
async def upload(request: Request, here: Here, id: str) -> Response:
    form = await uploaded(request)
    target = Target(api=id, replace=not form.beside)
    await run_in_threadpool(here.specifications.add, Sent(form.document), target)
    return RedirectResponse(request.url.path, HTTPStatus.SEE_OTHER)


@router.get("/apis/{id}/spec")
def spec_page(request: Request, here: Here, number: KnownApi, spec: str | None = None) -> Response:
    chosen = here.specifications.of_api(number, spec)
    with store_of(request).reading() as db:
        rows = queries.apis(db, Filters(api=number), 1, None)
    if not rows:
        raise UnknownApi
    return page(request, "spec.html", api=render.api(rows[0]), spec=render.spec(chosen))


@router.get("/exchanges")
def exchanges_page(request: Request, narrow: Narrow, cursor: After = None) -> Response:
    after = decode(cursor)
    with store_of(request).reading() as db:
        rows, more = queries.exchanges(db, narrow.filters(db), EXCHANGES, after)
    return page(
        request,
        "exchanges.html",
        exchanges=listed(Listed(rows, more), "time", render.exchange),
        asked=_asked(request),
    )


@router.get("/deviations")
def deviations_page(
    request: Request, narrow: Narrow, state: StateAsked = "", cursor: After = None
) -> Response:
    after = decode(cursor)
    with store_of(request).reading() as db:
        rows = queries.deviations(db, narrow.filters(db, state), DEVIATIONS + 1, after)
    return page(
        request,
        "deviations.html",
        deviations=listed(Listed.cut(rows, DEVIATIONS), "last_seen", render.finding),
        asked=_asked(request),
    )


def _asked(request: Request) -> dict[str, str]:
    """The filters in the address, for the form and the link to the next page."""
    return {name: value for name, value in request.query_params.items() if name != "cursor" and value}


@router.get("/exchanges/{id}")
def exchange_page(request: Request, id: str) -> Response:
    with store_of(request).reading() as db:
        row = queries.exchange(db, id)
        if row is None:
            raise Problem(HTTPStatus.NOT_FOUND, "No such exchange, or it was deleted by retention.")
        number = queries.number_of_api(db, row["api_id"])
        api = queries.apis(db, Filters(api=number), 1, None)
        numbers = decisions.numbers(db, number, row["deviations"]) if number is not None else []
    return page(
        request,
        "exchange.html",
        numbers=numbers,
        exchange=render.exchange(row),
        api=render.api(api[0]) if api else None,
    )
