"""An API's document as traffic makes it: versions, what changed between them, and what a person decides."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response

from server.api import models
from server.api import rebuilt_models as said
from server.api.context import Here
from server.api.documents import shown_document
from server.api.gate import TokenRole, require
from server.api.known import KnownApi
from server.api.paging import DEFAULT_LIMIT, After, Limit, decode, page
from server.api.render import time as shown_time
from server.services.rebuilding import Decided

router = APIRouter(
    prefix="/api/v1/apis/{id}", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["rebuilding"]
)

VersionName = Annotated[str, Query(max_length=40)]
TYPES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/yaml": {}, "application/json": {}}}}


@router.get("/reconstructed", response_class=Response, responses=TYPES)
def get_reconstructed(
    here: Here,
    api: KnownApi,
    version: Annotated[str | None, Query(max_length=40)] = None,
    format: Annotated[Literal["yaml", "json"], Query()] = "yaml",
) -> Response:
    """An API's document made of its traffic, OpenAPI 3.1: the newest version, or the one asked for."""
    return shown_document(here.rebuilding.publication(api, version), format)


@router.get("/reconstructed/versions", response_model=models.Page[said.Version])
def list_versions(here: Here, api: KnownApi, limit: Limit = DEFAULT_LIMIT, cursor: After = None) -> Any:
    """Its versions, newest first, each with what changed since the one before."""
    after = decode(cursor)
    return page(here.rebuilding.versions(api, limit, after[1] if after else None), "time", _version)


@router.get("/reconstructed/diff", response_model=said.Diff)
def get_diff(
    here: Here,
    api: KnownApi,
    from_: Annotated[str, Query(alias="from", max_length=40)],
    to: VersionName,
) -> Any:
    """What changed between two versions, and whether it breaks callers."""
    changes = [asdict(change) for change in here.rebuilding.changes(api, from_, to)]
    return {"from": from_, "to": to, "breaking": _breaks(changes), "changes": changes}


@router.get("/decisions", response_model=said.Decisions, response_model_exclude_none=True)
def list_decisions(here: Here, api: KnownApi) -> Any:
    """What people decided of its document."""
    return {"items": [_decided(one) for one in here.rebuilding.decisions(api)]}


@router.post("/decisions", status_code=201, response_model=said.Decided, response_model_exclude_none=True)
async def decide(here: Here, api: KnownApi, decision: said.Decision) -> Any:
    """Decides something of its document, which survives whatever traffic brings."""
    plain = decision.model_dump(by_alias=True, exclude_none=True)
    return _decided(await here.write(here.rebuilding.decide, api, plain))


@router.delete("/decisions/{decision}", status_code=204)
async def withdraw(here: Here, api: KnownApi, decision: int) -> None:
    """Withdraws a decision."""
    await here.write(here.rebuilding.withdraw, api, decision)


def _version(row: dict[str, Any]) -> dict[str, Any]:
    changes = json.loads(row["changes"])
    return {
        "version": row["version"],
        "time": shown_time(row["time"]),
        "breaking": _breaks(changes),
        "changes": changes,
    }


def _breaks(changes: list[dict[str, Any]]) -> bool:
    return any(change["breaking"] for change in changes)


def _decided(one: Decided) -> dict[str, Any]:
    return {"id": one.number, "time": shown_time(one.time), "decision": one.decision}
