"""Access control: tokens by role, local users without tokens, and protection of browsers.

A role without a token, on loopback only, is open to root, the server's user and the user who started it by
sudo. Any page they visit could send requests to the server, so host names other than this machine's (DNS
rebinding) and requests from other sites (CSRF) are refused.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.analysis.inventory import name_of
from server.api import errors
from server.api.context import context_of
from server.api.errors import Problem
from server.api.sessions import COOKIE
from server.config import ServerSettings, digest, is_loopback, user_name
from server.connections import CALLER, CERTIFIED
from server.peers import LocalCaller

CURE = "--admin-token-file and --ingest-token-file, or with --open-to-local-users"
NO_CERTIFICATE = "this server takes records only from clients that show a certificate: give --client-cert"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SAME = frozenset({"same-origin", "none"})


class TokenRole(StrEnum):
    INGEST = "ingest"
    ADMIN = "admin"


def token_of(settings: ServerSettings, role: TokenRole) -> bytes | None:
    """The digest of a role's token; None if it has none."""
    return settings.ingest_token if role is TokenRole.INGEST else settings.admin_token


def opens(settings: ServerSettings, role: TokenRole, token: str | None) -> bool:
    """Whether this is the role's token."""
    wanted = token_of(settings, role)
    return wanted is not None and token is not None and hmac.compare_digest(digest(token), wanted)


def local_user(request: Request) -> int | None:
    """The client's uid on this machine; None if unknown."""
    caller = getattr(request.state, CALLER, None)
    return caller.uid if isinstance(caller, LocalCaller) else None


def admitted(request: Request) -> bool:
    """Whether a request may use routes without a token."""
    known = context_of(request).settings.local_users
    return known is None or local_user(request) in known


def refusal(request: Request) -> str:
    """Why a request is not admitted, and the cure."""
    uid = local_user(request)
    who = "it is not known which user asks" if uid is None else f"you are {user_name(uid)}"
    known = ", ".join(user_name(one) for one in sorted(context_of(request).settings.local_users or ()))
    return f"without tokens this server is for {known} only, and {who}: start it with {CURE}"


def offered(request: Request) -> str | None:
    """The token of a request: Authorization: Bearer."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def logged_in(request: Request) -> bool:
    """Whether the request has a session that was opened with the admin token."""
    return bool(context_of(request).sessions.holds(request.cookies.get(COOKIE)))


def certified(request: Request, role: TokenRole) -> bool:
    """Whether a request's client has shown the certificate that its role needs."""
    tls = context_of(request).settings.tls
    needs_one = tls is not None and tls.client_ca is not None and role is TokenRole.INGEST
    return not needs_one or bool(getattr(request.state, CERTIFIED, False))


def entitled(request: Request, role: TokenRole) -> bool:
    """Whether a request has the role's permissions."""
    settings = context_of(request).settings
    if not certified(request, role):
        return False
    if token_of(settings, role) is None:
        return admitted(request)
    return opens(settings, role, offered(request)) or (role is TokenRole.ADMIN and logged_in(request))


@cache
def require(role: TokenRole) -> Callable[[Request], None]:
    """A dependency that responds 401 (no token) or 403 (another token, or local user); one for each role."""

    def check(request: Request) -> None:
        check_role(request, role)

    return check


def check_role(request: Request, role: TokenRole) -> None:
    """Raises Problem unless a request has the role's permissions."""
    if entitled(request, role):
        return
    if not certified(request, role):
        raise Problem(HTTPStatus.FORBIDDEN, NO_CERTIFICATE)
    if token_of(context_of(request).settings, role) is None:
        raise Problem(HTTPStatus.FORBIDDEN, refusal(request))
    if offered(request) is None:
        raise Problem(HTTPStatus.UNAUTHORIZED, f"this needs the {role} token: Authorization: Bearer …")
    raise Problem(HTTPStatus.FORBIDDEN, f"this is not the {role} token")


def delivers_for(request: Request) -> str | None:
    """A dependency of ingest: the cluster whose token the request has; None if it may deliver for any. Raises
    Problem.
    """
    tokens, secret = context_of(request).tokens, offered(request)
    if secret is None or not tokens.is_one(secret):
        check_role(request, TokenRole.INGEST)
        return None
    if not certified(request, TokenRole.INGEST):
        raise Problem(HTTPStatus.FORBIDDEN, NO_CERTIFICATE)
    cluster = tokens.cluster_of(secret)
    if cluster is None:
        raise Problem(HTTPStatus.FORBIDDEN, "this token is not valid: it was revoked, rotated or never made")
    return cluster


Deliverer = Annotated[str | None, Depends(delivers_for)]


class Door:
    """Refuses requests that none of our clients would send, before any other processing."""

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
        if site not in SAME or (origin is not None and _netloc(origin) != host):
            return "requests from other sites change nothing here"
        return None

    def _open(self) -> bool:
        settings = self._settings
        return settings.loopback and not (settings.ingest_token and settings.admin_token)


def _netloc(origin: str) -> str | None:
    """The host and port of an origin; None if it is no URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _unsniffed(send: Send) -> Send:
    """Adds the header that stops browsers from guessing the type of captured bytes."""

    async def forward(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-content-type-options", b"nosniff")]
        await send(message)

    return forward
