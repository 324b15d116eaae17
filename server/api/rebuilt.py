"""An API's document as traffic makes it: versions, what changed between them, and what a person decides."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from server.analysis.rebuild.decisions import BadDecision, read
from server.analysis.rebuild.text import to_json, to_yaml
from server.analysis.rebuild.versions import diff
from server.api import models
from server.api import rebuilt_models as said
from server.api.context import context_of
from server.api.errors import Problem
from server.api.gate import Role, require
from server.api.known import KnownApi
from server.api.paging import DEFAULT_LIMIT, After, Limit, decode, page, store_of
from server.api.render import time as shown_time
from server.services.listing import Listed
from server.store import rebuilt
from server.store.database import Connection
from server.store.rebuilt import Publication

router = APIRouter(
    prefix="/api/v1/apis/{id}", dependencies=[Depends(require(Role.ADMIN))], tags=["rebuilding"]
)

MOST_DECISIONS = 1_000  # of one API

VersionName = Annotated[str, Query(max_length=40)]
TYPES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/yaml": {}, "application/json": {}}}}


@router.get("/reconstructed", response_class=Response, responses=TYPES)
def get_reconstructed(
    request: Request,
    api: KnownApi,
    version: Annotated[str | None, Query(max_length=40)] = None,
    format: Annotated[Literal["yaml", "json"], Query()] = "yaml",
) -> Response:
    """An API's document made of its traffic, OpenAPI 3.1: the newest version, or the one asked for."""
    with store_of(request).reading() as db:
        found = _publication(db, api, version)
    content = to_json(found.document) if format == "json" else to_yaml(found.document)
    headers = {"Content-Disposition": "inline; filename=reconstructed"}
    return Response(content, media_type=f"application/{format}", headers=headers)


@router.get("/reconstructed/versions", response_model=models.Page[said.Version])
def list_versions(request: Request, api: KnownApi, limit: Limit = DEFAULT_LIMIT, cursor: After = None) -> Any:
    """Its versions, newest first, each with what changed since the one before."""
    after = decode(cursor)
    with store_of(request).reading() as db:
        rows = rebuilt.publications(db, api, limit + 1, after[1] if after else None)
    return page(Listed.cut(rows, limit), "time", _version)


@router.get("/reconstructed/diff", response_model=said.Diff)
def get_diff(
    request: Request,
    api: KnownApi,
    from_: Annotated[str, Query(alias="from", max_length=40)],
    to: VersionName,
) -> Any:
    """What changed between two versions, and whether it breaks callers."""
    with store_of(request).reading() as db:
        old, new = _publication(db, api, from_), _publication(db, api, to)
    changes = [asdict(change) for change in diff(old.document, new.document)]
    return {"from": from_, "to": to, "breaking": _breaks(changes), "changes": changes}


@router.get("/decisions", response_model=said.Decisions, response_model_exclude_none=True)
def list_decisions(request: Request, api: KnownApi) -> Any:
    """What people decided of its document."""
    with store_of(request).reading() as db:
        rows = rebuilt.decisions(db, api)
    return {"items": [_decided(*row) for row in rows]}


@router.post("/decisions", status_code=201, response_model=said.Decided, response_model_exclude_none=True)
async def decide(request: Request, api: KnownApi, decision: said.Decision) -> Any:
    """Decides something of its document, which survives whatever traffic brings."""
    plain = decision.model_dump(by_alias=True, exclude_none=True)
    try:
        read(plain)
    except BadDecision as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
    with store_of(request).reading() as db:
        if len(rebuilt.decisions(db, api)) >= MOST_DECISIONS:
            raise Problem(HTTPStatus.CONFLICT, f"there are {MOST_DECISIONS} decisions; withdraw some first")
    now = time.time_ns()
    row = await asyncio.wrap_future(store_of(request).write(lambda db: rebuilt.decide(db, api, plain, now)))
    context_of(request).core.learning.publish_soon(api)
    return _decided(row, now, plain)


@router.delete("/decisions/{decision}", status_code=204)
async def withdraw(request: Request, api: KnownApi, decision: int) -> None:
    """Withdraws a decision."""
    gone = await asyncio.wrap_future(store_of(request).write(lambda db: rebuilt.withdraw(db, api, decision)))
    if not gone:
        raise Problem(HTTPStatus.NOT_FOUND, "there is no such decision")
    context_of(request).core.learning.publish_soon(api)


def _publication(db: Connection, api: int, version: str | None) -> Publication:
    found = rebuilt.publication(db, api, version)
    if found is None:
        reason = "nothing was learnt of this API yet" if version is None else "there is no such version"
        raise Problem(HTTPStatus.NOT_FOUND, reason)
    return found


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


def _decided(row: int, at: int, decision: dict[str, Any]) -> dict[str, Any]:
    return {"id": row, "time": shown_time(at), "decision": decision}
