"""Deviations, and decisions on them."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated

import yaml
from fastapi import APIRouter, Depends, Query, Request, Response

from server.api import models, render
from server.api.context import Here
from server.api.downloads import FILES, Format, list_or_file
from server.api.gate import TokenRole, require
from server.api.known import MOVED, KnownApi, check_id
from server.api.paging import DEFAULT_LIMIT, After, DeviationFilters, Limit

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["deviations"])


@router.get("/deviations", response_model=models.Page[models.StoredDeviation], responses=FILES)
def list_deviations(
    request: Request,
    here: Here,
    filters: DeviationFilters,
    format: Format = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> models.Page[models.StoredDeviation] | Response:
    """Deviations from the specifications, once each, most recently seen first; without ignored ones, unless
    `state` asks for them.
    """
    read = partial(here.deviations.listed, filters)
    return list_or_file(request, format, "deviations", read, render.deviation, limit, cursor)


@router.get("/deviations/{id}", responses=MOVED)
def get_deviation(request: Request, here: Here, id: str) -> models.DeviationInContext:
    """A deviation, ignored or not, with its exact places in an exchange that shows it (`exchange`) and what
    the specification says there.
    """
    found = here.deviations.reviewed(id)
    check_id(request, found.deviation.id)
    return render.deviation_in_context(found)


@router.post("/deviations/{id}/ignore", status_code=204)
async def ignore_deviation(here: Here, id: str, said: models.Ignore) -> None:
    """Ignores a deviation: it is no longer listed and does not affect verdicts, of stored exchanges (soon
    after) and of later ones; calls past retention keep theirs. It is still counted. The decision outlives the
    deviation, and applies under other specifications.
    """
    await here.write(here.deviations.ignore, id, said.reason, said.by)


@router.delete("/deviations/{id}/ignore", status_code=204)
async def undo_ignoring(here: Here, id: str) -> None:
    """Undoes the decision: the deviation is open again, and affects verdicts of stored exchanges (soon after)
    and of later ones.
    """
    await here.write(here.deviations.undo, id)


@router.delete("/deviations/{id}/accept", status_code=204)
async def undo_accepting(here: Here, id: str) -> None:
    """Undoes the decision, like `DELETE …/ignore`."""
    await here.write(here.deviations.undo, id)


@router.post("/deviations/{id}/accept")
async def accept_deviation(here: Here, id: str, said: models.Accept) -> models.Proposal:
    """Turns a deviation into a change of the specification under which a call with it would conform. Responds
    409 if there is none. The specification itself does not change until one is uploaded.
    """
    return render.proposal(await here.write(here.deviations.accept, id, said.reason, said.by))


@router.get("/apis/{id}/proposals", responses=MOVED)
def list_proposals(here: Here, api: KnownApi) -> models.Page[models.Proposal]:
    """All accepted changes of an API's specifications, oldest first."""
    return models.Page(items=[render.proposal(one) for one in here.proposals.of_api(api)], next=None)


@router.get("/apis/{id}/proposals/document", response_class=Response, responses=MOVED)
def get_proposed_document(
    here: Here, api: KnownApi, spec: Annotated[str | None, Query(max_length=100)] = None
) -> Response:
    """A specification (the newest, or the one with this id) with all accepted changes, for upload."""
    found = here.proposals.document(api, spec)
    if found.is_json:
        text = json.dumps(found.document, ensure_ascii=False, indent=2)
        return Response(text, media_type="application/json")
    text = yaml.safe_dump(found.document, sort_keys=False, allow_unicode=True)
    return Response(text, media_type="application/yaml")
