"""A deviation's page, with the decisions to ignore it, to accept it, or to undo that."""

from __future__ import annotations

import json
from http import HTTPStatus

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from server.analysis.specs.amending.patches import Change
from server.analysis.specs.kinds import Where
from server.api import models, render
from server.api.context import Context, Here
from server.api.errors import Problem
from server.api.known import check_id
from server.services.deviations import Reviewed
from server.services.errors import Conflict
from server.ui.charts import by_verdict
from server.ui.door import Page, admin, fields, page
from server.ui.laid_out import TextLine
from server.ui.marked import excerpt_lines, marked_body

MAX_FORM = 32 * 1024  # bytes: each of a reason's 1,000 characters may become 12
MAX_SHOWN = 20_000  # characters of one change; the API has the rest
SAID = {"add": "Add", "replace": "Replace", "remove": "Remove"}

router = APIRouter(route_class=Page, include_in_schema=False, dependencies=[Depends(admin)])


@router.get("/deviations/{id}")
def deviation_page(request: Request, here: Here, id: str) -> Response:
    found = here.deviations.reviewed(id)
    check_id(request, found.deviation.id)
    return _shown(request, here, found)


@router.post("/deviations/{id}")
async def decide(request: Request, here: Here, id: str) -> Response:
    form = await fields(request, MAX_FORM)
    return await here.write(_decided, request, here, id, form)


def _decided(request: Request, here: Context, id: str, form: dict[str, str]) -> Response:
    reason, by = form.get("reason", "").strip() or None, form.get("by", "").strip() or None
    try:
        match form.get("decide"):
            case "ignore":
                ignored = models.Ignore(reason=reason or "", by=by)
                here.deviations.ignore(id, ignored.reason, ignored.by)
            case "accept":
                accepted = models.Accept(reason=reason, by=by)
                here.deviations.accept(id, accepted.reason, accepted.by)
            case "undo":
                here.deviations.undo(id)
            case _:
                raise Problem(HTTPStatus.BAD_REQUEST, "Unexpected form submission.")
    except ValidationError:
        why = "Not saved: the reason must be 1 to 1,000 characters, the name at most 200."
        return _shown(request, here, here.deviations.reviewed(id), HTTPStatus.UNPROCESSABLE_ENTITY, why)
    except Conflict as conflict:
        why = f"Cannot be accepted: {conflict}."
        return _shown(request, here, here.deviations.reviewed(id), HTTPStatus.CONFLICT, why)
    return RedirectResponse(f"/deviations/{id}", HTTPStatus.SEE_OTHER)


def _shown(
    request: Request,
    here: Context,
    found: Reviewed,
    status: int = HTTPStatus.OK,
    refused: str | None = None,
) -> Response:
    proposal, row = found.proposal, found.deviation
    return page(
        request,
        "deviation.html",
        status,
        one=render.deviation(row),
        by_verdict=by_verdict(here.consumers.week_of_operation(row.api, row.identity.operation)),
        api=render.api(found.api) if found.api else None,
        proposal=proposal,
        changes=[_change(change) for change in proposal.patch] if proposal else [],
        refused=refused,
        **_context(found),
    )


def _context(found: Reviewed) -> dict[str, object]:
    """What the specification says at the place of a deviation, beside a body of a call that shows it."""
    sample = render.exchange(found.sample) if found.sample else None
    body: list[TextLine] = []
    if sample is not None:
        body = marked_body(sample.request, Where.REQUEST_BODY, found.shown) or marked_body(
            sample.response, Where.RESPONSE_BODY, found.shown
        )
    excerpts = [(each.place, excerpt_lines(each)) for each in found.excerpts]
    return {"title": found.title, "excerpts": excerpts, "sample": sample, "body": body}


def _change(change: Change) -> dict[str, str | None]:
    """One operation of a JSON Patch, as text."""
    value = None
    if "value" in change:
        value = json.dumps(change["value"], ensure_ascii=False, indent=2)
        if len(value) > MAX_SHOWN:
            value = f"{value[:MAX_SHOWN]}…"
    return {"does": SAID[str(change["op"])], "path": str(change["path"]), "value": value}
