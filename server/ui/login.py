"""The login with the admin token, if configured; the cookie afterwards does not contain the token."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from server.api.context import context_of
from server.api.errors import Problem
from server.api.gate import TokenRole, entitled, opens, refusal, token_of
from server.api.sessions import COOKIE, LASTS_S
from server.ui.door import Page, fields, plain_page

log = logging.getLogger(__name__)

MAX_FORM = 8 * 1024
OURS = re.compile(r"/(?![/\\])[\x21-\x7e]*")  # a path, never another site

router = APIRouter(route_class=Page, include_in_schema=False)


@router.get("/login")
def login_page(request: Request, next: str = "/") -> Response:
    if entitled(request, TokenRole.ADMIN):
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)
    if token_of(context_of(request).settings, TokenRole.ADMIN) is None:
        raise Problem(HTTPStatus.FORBIDDEN, refusal(request))
    return plain_page(request, "login.html", next=_ours(next), wrong=False)


@router.post("/login")
async def log_in(request: Request) -> Response:
    form = await fields(request, MAX_FORM)
    token, following = form.get("token", "").strip(), _ours(form.get("next", "/"))
    if not opens(context_of(request).settings, TokenRole.ADMIN, token):
        log.warning("login rejected: wrong admin token")
        return plain_page(request, "login.html", HTTPStatus.FORBIDDEN, next=following, wrong=True)
    answer = RedirectResponse(following, HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        COOKIE,
        context_of(request).sessions.begin(),
        max_age=LASTS_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/logout")
def log_out(request: Request) -> Response:
    context_of(request).sessions.end(request.cookies.get(COOKIE))
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def _ours(path: str) -> str:
    return path if OURS.fullmatch(path) else "/"
