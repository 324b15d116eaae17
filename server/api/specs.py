"""Specifications: uploaded as they are, read back as they were."""

from __future__ import annotations

import asyncio
import logging
import time
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from server.analysis.specs.model import SpecError
from server.api import models, render
from server.api.bundles import MAX_SPEC, Sent, sent
from server.api.context import context_of
from server.api.errors import Problem
from server.api.fetch import fetched, usable
from server.api.gate import Role, require
from server.api.known import KnownApi
from server.api.paging import DEFAULT_LIMIT, After, Limit, cut, decode, page, store_of
from server.ingest.attach import NoTarget, Target, attach, detach
from server.ingest.catalogue_editor import based
from server.store import specs
from server.store.specs import MAX_TITLE, Upload

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(Role.ADMIN))], tags=["specifications"])

log = logging.getLogger(__name__)

LOGGED_WARNINGS = 20  # of one specification; the answer has all

KINDS = ("application/yaml", "application/json", "application/zip", "multipart/form-data")
BODY = {"requestBody": {"required": True, "content": {kind: {} for kind in KINDS}}}

Host = Annotated[
    str | None,
    Query(
        description="Where it is served: a host, with port if need be; else its server URLs say.",
        max_length=200,
    ),
]
Workload = Annotated[str | None, Query(description="Who serves it: NAMESPACE/NAME.", max_length=400)]
BasePath = Annotated[
    str | None, Query(description="Replaces the base path of its server URLs.", pattern="^/", max_length=400)
]
Root = Annotated[
    str | None,
    Query(description="Of several files, the one the document begins in.", max_length=400),
]
ApiId = Annotated[str | None, Query(description="Which API it describes.", max_length=100)]


@router.post("/specs", status_code=201, response_model=models.Uploaded, openapi_extra=BODY)
async def post_spec(
    request: Request,
    host: Host = None,
    workload: Workload = None,
    base_path: BasePath = None,
    api: ApiId = None,
    root: Root = None,
) -> Any:
    """Uploads a specification (OpenAPI 3 or Swagger 2.0, YAML or JSON). Creates the API if traffic has
    not; what is stored of it is judged anew, soon after. Several files that refer to one another come as a
    zip archive, or as a form's files whose names are their paths."""
    document = await sent(request, root)
    return await keep(request, document, Target(api=api, host=host, workload=workload), host, base_path)


@router.put("/apis/{id}/spec", response_model=models.Uploaded, openapi_extra=BODY)
async def put_spec(request: Request, id: str, base_path: BasePath = None, root: Root = None) -> Any:
    """Replaces whatever specifications an API has by this one."""
    document = await sent(request, root)
    return await keep(request, document, Target(api=id, replace=True), None, base_path)


@router.post("/specs/fetch", status_code=201, response_model=models.Uploaded)
async def fetch_spec(request: Request, ask: models.Fetch) -> Any:
    """Fetches a specification from a running service, and keeps it as if it were uploaded. Where neither
    the question nor the document says whom it describes, it is the service."""
    raw = await run_in_threadpool(fetched, ask.url, MAX_SPEC, ask.token, ask.verify)
    target = Target(api=ask.api, host=ask.host, workload=ask.workload)
    try:
        return await keep(request, Sent(raw), target, ask.host, ask.base_path)
    except NoTarget:
        host = usable(ask.url).netloc.decode()
        return await keep(request, Sent(raw), Target(host=host), None, ask.base_path)


async def keep(
    request: Request, sent: Sent, target: Target, host: str | None = None, base_path: str | None = None
) -> dict[str, Any]:
    """Stores a document with the API it describes. Raises SpecError, UnknownApi and NoTarget."""
    state = context_of(request).core
    try:
        specification = await run_in_threadpool(based, state.load, sent.raw, base_path)
    except SpecError as error:
        raise (sent.bundle.blame(error) if sent.bundle else error) from None
    upload = Upload(sent.raw, host.lower() if host else None, base_path)
    now = time.time_ns()
    attached = await asyncio.wrap_future(
        store_of(request).write(lambda db: attach(db, state.acceptor, upload, specification, target, now))
    )
    state.jobs.judge_again(attached.number)
    log.info(
        "specification %r (%d operations) for API %s",
        specification.title[:MAX_TITLE],
        len(specification.operations),
        attached.api,
    )
    for warning in specification.warnings[:LOGGED_WARNINGS]:
        log.warning("specification %s: %r", attached.spec, warning)
    return {
        "id": attached.spec,
        "api": attached.api,
        "title": specification.title,
        "version": specification.version,
        "operations": len(specification.operations),
        "warnings": [*specification.warnings],
    }


@router.get("/specs", response_model=models.Page[models.SpecInfo])
def list_specs(request: Request, limit: Limit = DEFAULT_LIMIT, cursor: After = None) -> Any:
    """All specifications, newest first, without the documents."""
    after = decode(cursor)
    with store_of(request).reading() as db:
        rows = specs.list_specs(db, limit + 1, after[1] if after else None)
    return page(*cut(rows, limit), "uploaded", render.spec)


@router.delete("/specs/{id}", status_code=204)
async def remove_spec(request: Request, id: str) -> None:
    """Removes a specification. Counts and exchanges stay; what is stored of the API is judged anew, soon
    after, by what specifications it has left."""
    state = context_of(request).core
    number = await asyncio.wrap_future(store_of(request).write(lambda db: detach(db, state.acceptor, id)))
    if number is None:
        raise Problem(HTTPStatus.NOT_FOUND, "there is no specification of this id")
    state.jobs.judge_again(number)
    log.info("specification %s was removed", id)


@router.get("/apis/{id}/spec", response_class=Response)
def get_spec(
    request: Request, api: KnownApi, spec: Annotated[str | None, Query(max_length=100)] = None
) -> Response:
    """An API's specification as it was uploaded: the newest, or the one of this id."""
    with store_of(request).reading() as db:
        found = [row for row in specs.of_api(db, api) if spec in (None, row["id"])]
    if not found:
        raise Problem(HTTPStatus.NOT_FOUND, "this API has no such specification")
    raw: bytes = found[0]["raw"]
    kind = "application/json" if raw.lstrip()[:1] == b"{" else "application/yaml"
    return Response(raw, media_type=kind, headers={"Content-Disposition": "inline; filename=spec"})
