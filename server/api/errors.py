"""Errors as RFC 9457 problem documents: one table from exceptions to HTTP; no captured values."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.wire import WireError
from server.analysis.specs.model import SpecError
from server.api.known import MovedId
from server.fetching import FetchFailed, FetchRefused
from server.ingest.belonging import ForeignCluster
from server.services.errors import Conflict, InvalidInput, KeyCollision, NoTarget, NotFound, StoreUnavailable

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_S = "5"


class Problem(Exception):
    """An error response. `extra` are further members of the document (RFC 9457, 3.2)."""

    def __init__(self, status: HTTPStatus, detail: str, **extra: object) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.extra = extra


def response(
    status: int, detail: str, headers: dict[str, str] | None = None, **extra: object
) -> JSONResponse:
    """The response with a problem document."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse({**document, **extra}, status, headers=headers, media_type=MEDIA_TYPE)


STATUSES: Mapping[type[Exception], HTTPStatus] = {
    WireError: HTTPStatus.BAD_REQUEST,
    ForeignCluster: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    KeyCollision: HTTPStatus.CONFLICT,
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    FetchRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
    FetchFailed: HTTPStatus.BAD_GATEWAY,
}
"""Exceptions whose text is the whole answer."""


def install(app: FastAPI) -> None:
    """Translates every exception of an application."""
    app.add_middleware(Unexpected)
    for kind, status in STATUSES.items():
        app.add_exception_handler(kind, partial(_plain, status))

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        headers = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else None
        return response(error.status, error.detail, headers, **error.extra)

    @app.exception_handler(MovedId)
    async def moved(_: Request, error: MovedId) -> Response:
        return error.answer()

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        return response(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> JSONResponse:
        return response(408, "the body ended early")  # nobody reads it

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"where": ".".join(map(str, item["loc"])), "reason": item["msg"]} for item in error.errors()
        ]
        return response(422, "; ".join(f"{one['where']}: {one['reason']}" for one in errors), errors=errors)

    @app.exception_handler(SpecError)
    async def spec(_: Request, error: SpecError) -> JSONResponse:
        return response(422, str(error), where=error.where, reason=error.reason)

    @app.exception_handler(NoTarget)
    async def no_target(_: Request, error: NoTarget) -> JSONResponse:
        return response(422, str(error), where="query", reason=str(error))

    @app.exception_handler(StoreUnavailable)
    async def unavailable(_: Request, error: StoreUnavailable) -> JSONResponse:
        return response(503, f"nothing was stored or read: {error}", {"Retry-After": RETRY_S})


async def _plain(status: HTTPStatus, _: Request, error: Exception) -> JSONResponse:
    return response(status, str(error))


class Unexpected:
    """Defects become status 500 and one log entry; the connection stays open."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            log.exception("unexpected: %s", type(error).__name__)
            await response(500, "this is a defect of the server; its log says more")(scope, receive, send)
