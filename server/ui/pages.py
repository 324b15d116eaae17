"""The pages. They use the same services and models as the API."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from server.analysis.specs.kinds import Where
from server.api import render
from server.api.context import Here
from server.api.documents import shown_document
from server.api.known import KnownApi, check_id
from server.api.paging import (
    After,
    ApiFilters,
    DeviationFilters,
    ExchangeFilters,
    OperationFilters,
    StateAsked,
    decode,
)
from server.api.paging import page as listed
from server.services.attaching import AttachTarget
from server.services.inventory import OperationState
from server.services.narrowing import Filters
from server.services.sent import Sent
from server.ui import agents, consumers, coverage, decide, login, operation, overview
from server.ui.charts import by_fault, by_status, by_verdict
from server.ui.door import FOLDER, Page, admin, asked_of, failed, page, secure, server_of, wants_page
from server.ui.marked import marked_body
from server.ui.upload import uploaded

APIS = 50  # rows on one page
OPERATIONS = 200
EXCHANGES = 50
DEVIATIONS = 100

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
    as_problem = app.exception_handlers[HTTPException]

    @app.exception_handler(HTTPException)
    async def unknown_address(request: Request, error: HTTPException) -> Response:
        if wants_page(request):
            return failed(request, error)
        answer: Response = await as_problem(request, error)  # type: ignore[misc]
        return answer

    app.include_router(login.router)
    app.include_router(overview.router)
    app.include_router(operation.router)
    app.include_router(consumers.router)
    app.include_router(coverage.router)
    app.include_router(agents.router)
    app.include_router(router)
    app.include_router(decide.router)
    app.mount("/static", Static(directory=FOLDER / "static"))


@router.get("/apis")
def apis_page(request: Request, here: Here, filters: ApiFilters, cursor: After = None) -> Response:
    after = decode(cursor)
    return page(
        request,
        "apis.html",
        apis=listed(here.inventory.apis(filters, APIS, after), render.api),
        totals=here.inventory.totals(),
        filters=asked_of(request),
        newest=after is None,
    )


@router.get("/operations")
def operations_page(
    request: Request, here: Here, filters: OperationFilters, state: StateAsked = "", cursor: After = None
) -> Response:
    wanted = OperationState(state) if state else None
    if wanted is OperationState.UNUSED:
        unused = here.inventory.unused(filters, OPERATIONS, decode(cursor))
        shown = listed(unused, render.unused)
        api_names = {id: here.inventory.api(id).name for id in {row.api_id for row in unused.rows}}
    else:
        found = here.inventory.operations(filters, wanted, OPERATIONS, decode(cursor))
        shown = listed(found, render.operation)
        api_names = {row.api_id: row.api_name for row in found.rows}
    return page(
        request,
        "operations.html",
        operations=shown,
        api_names=api_names,
        unused=wanted is OperationState.UNUSED,
        filters=asked_of(request),
    )


@router.get("/apis/{id}")
def api_page(request: Request, here: Here, id: str, cursor: After = None) -> Response:
    after = decode(cursor)
    found = here.overview.of_api(id, OPERATIONS, after)
    check_id(request, found.api.id)
    week = here.consumers.week(Filters(api=found.api.number))
    return page(
        request,
        "api.html",
        by_status=by_status(week),
        by_verdict=by_verdict(week),
        faults=by_fault(week),
        week_began=week[0].time,
        rebuilt=found.rebuilt,
        api=render.api(found.api),
        operations=listed(found.operations, render.operation),
        deviations=listed(found.deviations, render.deviation),
        exchanges=listed(found.exchanges, render.exchange),
        server=server_of(request),
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
        refused={},
        exchanges=listed(found, render.exchange),
        searched_to=found.next[0] if found.next and len(found.rows) < EXCHANGES else None,
        asked=dict(asked_of(request)),
        filters=asked_of(request),
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
        asked=dict(asked_of(request)),
        filters=asked_of(request),
    )


@router.get("/help")
def help_page(request: Request) -> Response:
    return page(request, "help.html")


@router.get("/docs")
def docs_page(request: Request) -> Response:
    return page(request, "docs.html")


@router.get("/exchanges/{id}")
def exchange_page(request: Request, here: Here, id: str) -> Response:
    found = here.exchanges.inspected(id)
    shown = render.exchange(found.exchange)
    return page(
        request,
        "exchange.html",
        deviation_ids=found.deviations,
        exchange=shown,
        marked={
            "request": marked_body(shown.request, Where.REQUEST_BODY, found.judged),
            "response": marked_body(shown.response, Where.RESPONSE_BODY, found.judged),
        },
        api=render.api(found.api) if found.api else None,
    )
