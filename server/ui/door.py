"""The common parts of all pages: templates, security headers, login, and errors as pages.

Captured data is hostile: templates escape everything, and the policy blocks any script that was missed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException

from server.analysis.specs.model import SpecError
from server.api.bodies import bounded_body
from server.api.context import context_of
from server.api.errors import RETRY_S, Problem
from server.api.gate import TokenRole, entitled, refusal, token_of
from server.api.known import MovedId
from server.services.errors import Conflict, InvalidInput, KeyCollision, NotFound, StoreUnavailable
from server.ui import show

FOLDER = Path(__file__).parent
PLAIN_HOST = re.compile(r"[\w.:\[\]-]+", re.ASCII)
VERSION = version("spectap")
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "Referrer-Policy": "same-origin",  # with no-referrer, the pages' own forms would send Origin: null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

FORM = "/exchanges"
"""The page with a form of filters."""
PAGES = (
    ("/", "Overview"),
    ("/apis", "APIs"),
    ("/operations", "Operations"),
    ("/deviations", "Deviations"),
    ("/consumers", "Consumers"),
    ("/exchanges", "Exchanges"),
    ("/agents", "Agents"),
)
"""The address and the name of each page that every page leads to."""
SHOWN = {
    ("specified", "true"): "with a specification",
    ("specified", "false"): "without a specification",
    ("state", "shadow"): "undocumented",
    ("state", "zombie"): "deprecated",
    ("state", "unused"): "not called",
    ("external", "yes"): "served elsewhere",
    ("deprecated", "yes"): "callers of deprecated operations",
}
"""A filter of a list in words, where its name and value are not plain enough."""

templates = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=show.visible,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.filters.update(show.FILTERS)
templates.globals.update(between=show.between, PAGES=PAGES, SHOWN=SHOWN, VERSION=VERSION)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class LoginNeeded(Exception):
    """Tokens are configured, and this browser has no admin session."""


def admin(request: Request) -> None:
    """A dependency that redirects users without permission to the login. Raises Problem if there is
    no login.
    """
    if entitled(request, TokenRole.ADMIN):
        return
    if token_of(context_of(request).settings, TokenRole.ADMIN) is None:
        raise Problem(HTTPStatus.FORBIDDEN, refusal(request))
    raise LoginNeeded


async def fields(request: Request, most: int) -> dict[str, str]:
    """The fields of a form without files, within a bound of bytes; of repeated names the first. Raises
    Problem.
    """
    raw = (await bounded_body(request, most)).decode("latin-1")
    return {name: values[0] for name, values in parse_qs(raw, errors="replace").items()}


def page(request: Request, template: str, status: int = HTTPStatus.OK, **values: object) -> HTMLResponse:
    """A template as a response, with the freshness of what is stored in its head. Raises StoreUnavailable."""
    return plain_page(request, template, status, fresh=context_of(request).fleet.freshness(), **values)


def plain_page(
    request: Request, template: str, status: int = HTTPStatus.OK, **values: object
) -> HTMLResponse:
    """A template as a response, without reading the store: for who is not logged in, and for errors."""
    common = {
        "fresh": None,
        "now": time.time(),
        "here": request.url.path,
        "tokens": context_of(request).settings.admin_token is not None,
    }
    return HTMLResponse(templates.get_template(template).render(common | values), status)


def asked_of(request: Request) -> list[tuple[str, str]]:
    """The filters in the URL, for the form and the link to the next page; a name may be repeated."""
    return [(name, value) for name, value in request.query_params.multi_items() if name != "cursor" and value]


def server_of(request: Request) -> str:
    """This server's URL, for use in a shell."""
    host = request.headers.get("host", "")
    return f"{request.url.scheme}://{host if PLAIN_HOST.fullmatch(host) else 'SERVER:8080'}"


class Page(APIRoute):
    """A route that responds with a page, also for errors, and to HEAD."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        if self.methods and "GET" in self.methods:
            self.methods.add("HEAD")

    def get_route_handler(self) -> Handler:
        answer = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                response = await answer(request)
            except LoginNeeded:
                response = _to_login(request)
            except MovedId as moved:
                response = moved.answer()
            except tuple(ERRORS) as error:
                response = _failed(request, error)
            secure(response.headers)
            return response

        return handler


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks, and not for a part of the API."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def secure(headers: MutableHeaders) -> None:
    """Adds the security headers that a response has not set itself."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)


def _to_login(request: Request) -> Response:
    if "hx-request" in request.headers:  # a page that refreshes itself must be reloaded completely
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"HX-Refresh": "true"})
    query = urlencode({"next": request.url.path}) if request.method == "GET" else ""
    return RedirectResponse(f"/login?{query}".rstrip("?"), HTTPStatus.SEE_OTHER)


def failed(request: Request, error: Exception) -> Response:
    """An error as a page."""
    response = _failed(request, error)
    secure(response.headers)
    return response


def _failed(request: Request, error: Exception) -> Response:
    status, text = next(said(error) for kind, said in ERRORS.items() if isinstance(error, kind))
    heading = HTTPStatus(status).phrase
    if status == HTTPStatus.UNPROCESSABLE_ENTITY and request.url.path == FORM:
        return _refused(request, text)
    response = plain_page(request, "error.html", status, heading=heading, text=text)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = RETRY_S
    return response


def _refused(request: Request, text: str) -> Response:
    """The form of the list of exchanges, as it was filled in, with what is wrong at the field."""
    field, _, reason = text.removeprefix("query.").partition(": ")
    values: dict[str, Any] = {
        "exchanges": {"items": [], "next": None},
        "searched_to": None,
        "asked": dict(asked_of(request)),
        "filters": asked_of(request),
        "refused": {field: reason} if reason else {"": text},
    }
    return plain_page(request, "exchanges.html", HTTPStatus.UNPROCESSABLE_ENTITY, **values)


def _problem(error: Any) -> tuple[int, str]:
    return error.status, error.detail


def _invalid(error: Any) -> str:
    """Names the parameters, never their values."""
    found = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
    return f"Invalid request parameter. {'; '.join(found)}."


def _http(error: Any) -> tuple[int, str]:
    return error.status_code, str(error.detail)


def sentence(error: Exception) -> str:
    """An error's text as a sentence."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


ERRORS: dict[type[Exception], Callable[[Exception], tuple[int, str]]] = {
    Problem: _problem,
    HTTPException: _http,
    RequestValidationError: lambda error: (422, _invalid(error)),
    NotFound: lambda error: (404, sentence(error)),
    Conflict: lambda error: (409, sentence(error)),
    KeyCollision: lambda error: (409, sentence(error)),
    InvalidInput: lambda error: (422, sentence(error)),
    SpecError: lambda error: (422, f"The specification was rejected: {error}"),
    StoreUnavailable: lambda error: (503, f"Nothing was changed: {error}"),
}
