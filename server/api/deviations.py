"""Deviations, and what people decide of them."""

from __future__ import annotations

import json
from typing import Annotated

import yaml
from fastapi import APIRouter, Depends, Query, Response

from server.api import models, render
from server.api.context import Here
from server.api.gate import TokenRole, require
from server.api.known import KnownApi
from server.api.paging import DEFAULT_LIMIT, After, Limit, Narrow, StateAsked, decode, page

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["deviations"])


@router.get("/deviations")
def list_deviations(
    here: Here, narrow: Narrow, state: StateAsked = "", limit: Limit = DEFAULT_LIMIT, cursor: After = None
) -> models.Page[models.StoredDeviation]:
    """What differs from the specifications, once each, most recently seen first."""
    return page(here.deviations.listed(narrow, state, limit, decode(cursor)), render.deviation)


@router.post("/deviations/{id}/ignore", status_code=204)
async def ignore(here: Here, id: str, said: models.Ignore) -> None:
    """Silences a deviation: it is no longer listed, nor does it count to the verdict of calls to come. It
    is still counted. The decision outlives the deviation, and other specifications."""
    await here.write(here.deviations.ignore, id, said.reason, said.by)


@router.delete("/deviations/{id}/ignore", status_code=204)
@router.delete("/deviations/{id}/accept", status_code=204)
async def undo(here: Here, id: str) -> None:
    """The deviation is open again."""
    await here.write(here.deviations.undo, id)


@router.post("/deviations/{id}/accept")
async def accept(here: Here, id: str, said: models.Accept) -> models.Proposal:
    """Turns a deviation into a change of the specification under which a call that shows it would conform.
    Answers 409 where there is none. The specification itself stays as it is until one is uploaded."""
    return render.proposal(await here.write(here.deviations.accept, id, said.reason, said.by))


@router.get("/apis/{id}/proposals")
def list_proposals(here: Here, api: KnownApi) -> models.Page[models.Proposal]:
    """All changes of an API's specifications that were accepted, oldest first."""
    return models.Page(items=[render.proposal(one) for one in here.proposals.of_api(api)], next=None)


@router.get("/apis/{id}/proposals/document", response_class=Response)
def proposed_document(
    here: Here, api: KnownApi, spec: Annotated[str | None, Query(max_length=100)] = None
) -> Response:
    """A specification (the newest, or the one of this id) with all that was accepted, to be uploaded."""
    found = here.proposals.document(api, spec)
    if found.is_json:
        text = json.dumps(found.document, ensure_ascii=False, indent=2)
        return Response(text, media_type="application/json")
    text = yaml.safe_dump(found.document, sort_keys=False, allow_unicode=True)
    return Response(text, media_type="application/yaml")
