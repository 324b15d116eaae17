"""An API's learned document: versions, the changes between them, and decisions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from server.api import models, render
from server.api import rebuilt_models as said
from server.api.context import Here
from server.api.documents import shown_document
from server.api.gate import TokenRole, require
from server.api.known import MOVED, KnownApi
from server.api.paging import DEFAULT_LIMIT, After, Limit, decode, page

router = APIRouter(
    prefix="/api/v1/apis/{id}", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["rebuilding"]
)

VersionName = Annotated[str, Query(max_length=40)]


@router.get(
    "/reconstructed",
    response_class=Response,
    responses={**MOVED, 200: {"content": {"application/yaml": {}, "application/json": {}}}},
)
def get_reconstructed(
    here: Here,
    api: KnownApi,
    version: Annotated[str | None, Query(max_length=40)] = None,
    format: Annotated[Literal["yaml", "json"], Query()] = "yaml",
    openapi: Annotated[
        Literal["3.1", "3.2"],
        Query(description="3.2 describes the items of event streams and JSON lines; in 3.1 they are text."),
    ] = "3.1",
) -> Response:
    """An API's learned document: the newest version, or the requested one."""
    found = here.rebuilding.publication(api, version, sequences=openapi == "3.2")
    return shown_document(found, format)


@router.get("/reconstructed/versions", responses=MOVED)
def list_versions(
    here: Here, api: KnownApi, limit: Limit = DEFAULT_LIMIT, cursor: After = None
) -> models.Page[said.Version]:
    """Its versions, newest first, each with the changes since the previous one."""
    return page(here.rebuilding.versions(api, limit, decode(cursor)), render.version)


@router.post("/reconstructed/versions", status_code=202, responses=MOVED)
def request_version(here: Here, api: KnownApi) -> None:
    """Publishes what was learned so far, soon, as 1.0.0 or later; nothing if that is published already."""
    here.rebuilding.request_version(api)


@router.get("/reconstructed/refused", responses=MOVED)
def list_refused(here: Here, api: KnownApi) -> said.Refused:
    """The operations that were called and never accepted, which its document leaves out; the most called
    first, 1,000 at most. They may be real, or a scanner's guesses.
    """
    return said.Refused(items=[render.refused(one) for one in here.rebuilding.refused(api)])


@router.get("/reconstructed/diff", responses=MOVED)
def get_diff(
    here: Here,
    api: KnownApi,
    from_: Annotated[str, Query(alias="from", max_length=40)],
    to: VersionName,
) -> said.Diff:
    """The changes between two versions, and whether they break consumers."""
    changes = [said.Change(**asdict(change)) for change in here.rebuilding.changes(api, from_, to)]
    breaking = any(change.breaking for change in changes)
    return said.Diff(**{"from": from_}, to=to, breaking=breaking, changes=changes)


@router.get("/decisions", response_model_exclude_none=True, responses=MOVED)
def list_decisions(here: Here, api: KnownApi) -> said.Decisions:
    """The decisions on its document."""
    return said.Decisions(items=[render.decided(one) for one in here.rebuilding.decisions(api)])


@router.post("/decisions", status_code=201, response_model_exclude_none=True)
async def post_decision(here: Here, api: KnownApi, decision: said.Decision) -> said.Decided:
    """Adds a decision on its document, which further traffic does not change."""
    plain = decision.model_dump(by_alias=True, exclude_none=True)
    return render.decided(await here.write(here.rebuilding.decide, api, plain))


@router.delete("/decisions/{decision}", status_code=204)
async def withdraw_decision(here: Here, api: KnownApi, decision: int) -> None:
    """Withdraws a decision."""
    await here.write(here.rebuilding.withdraw, api, decision)
