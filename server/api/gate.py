"""Who may ask: tokens by role, and what a browser on this machine must not be made to do.

A server on loopback may be open. Then any page the user visits could try to reach it, so names other
than this machine's (DNS rebinding) and requests that other sites send (CSRF) are turned away.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from http import HTTPStatus
from urllib.parse import urlsplit

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.analysis.inventory import name_of
from server.api import errors
from server.api.errors import Problem
from server.api.sessions import COOKIE
from server.config import ServerSettings, digest, is_loopback

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SAME = frozenset({"same-origin", "none"})


class Role(StrEnum):
    INGEST = "ingest"
    ADMIN = "admin"


def allowed(settings: ServerSettings, role: Role, token: str | None) -> bool:
    """Whether a token opens what a role may do; with no token set for the role, anything does."""
    wanted = settings.ingest_token if role is Role.INGEST else settings.admin_token
    return wanted is None or (token is not None and hmac.compare_digest(digest(token), wanted))


def offered(request: Request) -> str | None:
    """The token of a request: Authorization: Bearer."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def logged_in(request: Request) -> bool:
    """Whether the request comes from a page that someone opened with the admin token."""
    return bool(request.app.state.sessions.holds(request.cookies.get(COOKIE)))


def entitled(request: Request, role: Role) -> bool:
    """Whether a request may do what the role may."""
    if allowed(request.app.state.settings, role, offered(request)):
        return True
    return role is Role.ADMIN and logged_in(request)


@cache
def require(role: Role) -> Callable[[Request], None]:
    """A dependency that answers 401 (no token) or 403 (not this one); one for each role."""

    def check(request: Request) -> None:
        if entitled(request, role):
            return
        if offered(request) is None:
            raise Problem(HTTPStatus.UNAUTHORIZED, f"this needs the {role} token: Authorization: Bearer …")
        raise Problem(HTTPStatus.FORBIDDEN, f"this is not the {role} token")

    return check


class Door:
    """Turns away requests that no client of ours would send, before anything else looks at them."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is not None:
            await errors.response(HTTPStatus.FORBIDDEN, refusal)(scope, receive, send)
        else:
            await self._app(scope, receive, _unsniffed(send))

    def _refusal(self, scope: Scope) -> str | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if self._open() and not is_loopback(name_of(host)):
            return "this server is for this machine only: call it localhost or 127.0.0.1"
        if scope["method"] in SAFE:
            return None
        origin, site = headers.get(b"origin"), headers.get(b"sec-fetch-site", "none")
        if site not in SAME or (origin is not None and urlsplit(origin).netloc != host):
            return "requests from other sites change nothing here"
        return None

    def _open(self) -> bool:
        settings = self._settings
        return settings.loopback and not (settings.ingest_token and settings.admin_token)


def _unsniffed(send: Send) -> Send:
    """What is said to be JSON stays JSON: browsers must not guess at captured bytes."""

    async def forward(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-content-type-options", b"nosniff")]
        await send(message)

    return forward
