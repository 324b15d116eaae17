"""A deviation's page, where people decide of it: to ignore it, to accept it, or neither any more."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from server.api import deviations, models, render
from server.api.errors import Problem
from server.api.paging import store_of
from server.store import decisions, queries
from server.store.queries import Filters
from server.ui.door import Page, admin, fields, page

MAX_FORM = 32 * 1024  # bytes: of a reason's 1,000 characters each may become 12
MAX_SHOWN = 20_000  # characters of one change; the API has the rest
SAID = {"add": "Add", "replace": "Replace", "remove": "Remove"}

router = APIRouter(route_class=Page, include_in_schema=False, dependencies=[Depends(admin)])


@router.get("/deviations/{id}")
def deviation_page(request: Request, id: str) -> Response:
    return _shown(request, id)


@router.post("/deviations/{id}")
async def decide(request: Request, id: str) -> Response:
    form = await fields(request, MAX_FORM)
    reason, by = form.get("reason", "").strip() or None, form.get("by", "").strip() or None
    try:
        match form.get("decide"):
            case "ignore":
                await deviations.ignore(request, id, models.Ignore(reason=reason or "", by=by))
            case "accept":
                await deviations.accept(request, id, models.Accept(reason=reason, by=by))
            case "undo":
                await deviations.undo(request, id)
            case _:
                raise Problem(HTTPStatus.BAD_REQUEST, "Unexpected form submission.")
    except ValidationError:
        why = "Not saved: the reason must be 1 to 1,000 characters, the name at most 200."
        return _shown(request, id, HTTPStatus.UNPROCESSABLE_ENTITY, why)
    except Problem as problem:
        if problem.status != HTTPStatus.CONFLICT:
            raise
        return _shown(request, id, problem.status, f"Cannot be accepted: {problem.detail}.")
    return RedirectResponse(f"/deviations/{int(id)}", HTTPStatus.SEE_OTHER)


def _shown(request: Request, id: str, status: int = HTTPStatus.OK, refused: str | None = None) -> Response:
    number = int(id) if id.isdecimal() and len(id) < 19 else -1
    with store_of(request).reading() as db:
        rows = queries.deviations(db, Filters(deviation=number, state=None), 1, None)
        if not rows:
            raise Problem(HTTPStatus.NOT_FOUND, "This deviation no longer exists.")
        apis = queries.apis(db, Filters(api=rows[0]["api"]), 1, None)
        accepted = decisions.proposals(db, rows[0]["api"])
    proposal = next((one for one in accepted if decisions.identity(one) == decisions.identity(rows[0])), None)
    return page(
        request,
        "deviation.html",
        status,
        one=render.finding(rows[0]),
        api=render.api(apis[0]) if apis else None,
        proposal=proposal,
        changes=[_change(change) for change in proposal["patch"]] if proposal else [],
        refused=refused,
    )


def _change(change: dict[str, Any]) -> dict[str, Any]:
    """One operation of a JSON Patch, to be read."""
    value = None
    if "value" in change:
        value = json.dumps(change["value"], ensure_ascii=False, indent=2)
        if len(value) > MAX_SHOWN:
            value = f"{value[:MAX_SHOWN]}…"
    return {"does": SAID[change["op"]], "path": change["path"], "value": value}
