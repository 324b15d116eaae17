"""The pages. They use the same services and models as the API."""

from __future__ import annotations

import re
from http import HTTPStatus

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from agent.wire import lost
from server.api import render
from server.api.context import Here
from server.api.documents import shown_document
from server.api.known import KnownApi, check_id
from server.api.paging import After, DeviationFilters, ExchangeFilters, decode
from server.api.paging import page as listed
from server.services.attaching import AttachTarget
from server.services.overview import Summary
from server.services.sent import Sent
from server.ui import decide, login
from server.ui.door import FOLDER, Page, admin, page, secure
from server.ui.upload import uploaded

APIS = 25  # rows on one page: few, so that the latest deviations are visible below
OPERATIONS = 200
EXCHANGES = 50
DEVIATIONS = 100
PLAIN_HOST = re.compile(r"[\w.:\[\]-]+", re.ASCII)

router = APIRouter(route_class=Page, include_in_schema=False, dependencies=[Depends(admin)])


class Static(StaticFiles):
    """Static files, own and vendored. The names of vendored folders contain the version."""

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
def first_page(request: Request, here: Here, cursor: After = None) -> Response:
    after = decode(cursor)
    found = here.overview.all(APIS, after)
    return page(
        request,
        "first.html",
        apis=listed(found.apis, render.api),
        deviations=listed(found.deviations, render.deviation),
        totals=_totals(found),
        heard=render.agent(found.agent) if found.agent else None,
        server=_server(request),
        newest=after is None,
    )


def _totals(found: Summary) -> dict[str, int]:
    seen = found.ledgers.agents
    return {
        "apis": found.totals.apis,
        "exchanges": found.totals.exchanges,
        "uncertain": found.totals.uncertain,
        "bytes": seen.get("bytes", {}).get("parsed", 0),
        "bytes_lost": lost(seen, "bytes"),
        "exchanges_lost": lost(seen, "exchanges"),
    }


def _server(request: Request) -> str:
    """This server's URL, for use in a shell."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host if PLAIN_HOST.fullmatch(host) else 'SERVER:8080'}"


@router.get("/apis/{id}")
def api_page(request: Request, here: Here, id: str, cursor: After = None) -> Response:
    after = decode(cursor)
    found = here.overview.of_api(id, OPERATIONS, after)
    check_id(request, found.api.id)
    return page(
        request,
        "api.html",
        rebuilt=found.rebuilt,
        api=render.api(found.api),
        operations=listed(found.operations, render.operation),
        deviations=listed(found.deviations, render.deviation),
        exchanges=listed(found.exchanges, render.exchange),
        server=_server(request),
        newest=after is None,
    )


@router.get("/apis/{id}/reconstructed")
def reconstructed(here: Here, api: KnownApi) -> Response:
    """The newest learned document, as in the API."""
    return shown_document(here.rebuilding.publication(api, None))


@router.post("/apis/{id}/spec")
async def upload(request: Request, here: Here, id: str) -> Response:
    form = await uploaded(request)
    target = AttachTarget(api=id, replace=not form.beside)
    await here.read_document(here.specifications.add, Sent(form.document), target)
    return RedirectResponse(request.url.path, HTTPStatus.SEE_OTHER)


@router.get("/apis/{id}/spec")
def spec_page(request: Request, here: Here, id: str, spec: str | None = None) -> Response:
    shown = render.spec(here.specifications.of_api(id, spec).row)
    check_id(request, shown.api)
    return page(request, "spec.html", api=render.api(here.inventory.api(id)), spec=shown)


@router.get("/exchanges")
def exchanges_page(request: Request, here: Here, filters: ExchangeFilters, cursor: After = None) -> Response:
    found = here.exchanges.listed(filters, EXCHANGES, decode(cursor))
    return page(
        request,
        "exchanges.html",
        exchanges=listed(found, render.exchange),
        asked=dict(_asked(request)),
        filters=_asked(request),
    )


@router.get("/deviations")
def deviations_page(
    request: Request, here: Here, filters: DeviationFilters, cursor: After = None
) -> Response:
    found = here.deviations.listed(filters, DEVIATIONS, decode(cursor))
    return page(
        request,
        "deviations.html",
        deviations=listed(found, render.deviation),
        asked=dict(_asked(request)),
        filters=_asked(request),
    )


def _asked(request: Request) -> list[tuple[str, str]]:
    """The filters in the URL, for the form and the link to the next page; a name may be repeated."""
    return [(name, value) for name, value in request.query_params.multi_items() if name != "cursor" and value]


@router.get("/exchanges/{id}")
def exchange_page(request: Request, here: Here, id: str) -> Response:
    found = here.exchanges.inspected(id)
    return page(
        request,
        "exchange.html",
        deviation_ids=found.deviations,
        exchange=render.exchange(found.exchange),
        api=render.api(found.api) if found.api else None,
    )
