"""Specifications, stored and returned unchanged."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from server.analysis.tryout.documents import TryoutReport
from server.api import models, render, tryout_models
from server.api.bundles import BODY, MAX_SPEC, sent
from server.api.context import Here
from server.api.gate import TokenRole, require
from server.api.known import MOVED, KnownApi, check_id
from server.api.paging import DEFAULT_LIMIT, After, Limit, Place, Since, decode, page
from server.api.patience import patience
from server.fetching import fetched, usable
from server.services.attaching import AttachTarget
from server.services.sent import Sent
from server.services.specifications import Added
from server.services.tryouts import TryoutTarget

TRYOUT_S = 60.0

router = APIRouter(
    prefix="/api/v1", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["specifications"]
)

Host = Annotated[
    str | None,
    Query(
        description="Host that it describes, with port if needed; default: from its server URLs.",
        max_length=200,
    ),
]
Workload = Annotated[
    str | None, Query(description="Workload that it describes: NAMESPACE/NAME.", max_length=400)
]
BasePath = Annotated[
    str | None, Query(description="Replaces the base path of its server URLs.", pattern="^/", max_length=400)
]
Root = Annotated[
    str | None,
    Query(description="The root file, if the document has several files.", max_length=400),
]
Cluster = Annotated[
    str | None, Query(description="Cluster of that host or workload; default: any.", max_length=300)
]
ApiId = Annotated[str | None, Query(description="Id of the API that it describes.", max_length=100)]


@router.post("/specs", status_code=201, response_model=models.Uploaded, openapi_extra=BODY)
async def post_spec(
    request: Request,
    here: Here,
    host: Host = None,
    workload: Workload = None,
    cluster: Cluster = None,
    base_path: BasePath = None,
    api: ApiId = None,
    root: Root = None,
) -> Added:
    """Uploads a specification (OpenAPI 3 or Swagger 2.0, YAML or JSON). Creates the API if traffic has
    not; stored exchanges are re-validated shortly afterwards. Several files that refer to each other come as
    a zip archive, or as a form's files whose names are their paths.
    """
    target = AttachTarget(api=api, host=host, workload=workload, cluster=cluster or None)
    return await here.read_document(here.specifications.add, await sent(request, root), target, base_path)


@router.put("/apis/{id}/spec", response_model=models.Uploaded, openapi_extra=BODY)
async def put_spec(
    request: Request, here: Here, id: str, base_path: BasePath = None, root: Root = None
) -> Added:
    """Replaces all specifications of an API by this one."""
    target = AttachTarget(api=id, replace=True)
    return await here.read_document(here.specifications.add, await sent(request, root), target, base_path)


@router.post("/specs/fetch", status_code=201, response_model=models.Uploaded)
async def fetch_spec(here: Here, ask: models.Fetch) -> Added:
    """Fetches a specification from a running service, and stores it like an upload. If neither the request
    nor the document names the API it describes, it is the service's.
    """
    raw = await run_in_threadpool(fetched, ask.url, MAX_SPEC, ask.token, ask.verify)
    host = usable(ask.url).netloc.decode()
    target = AttachTarget(ask.api, ask.host, ask.workload, otherwise=host, cluster=ask.cluster or None)
    return await here.read_document(here.specifications.add, Sent(raw), target, ask.base_path)


@router.post("/specs/try", response_model=tryout_models.TryoutReport, openapi_extra=BODY)
async def try_spec(
    request: Request,
    here: Here,
    host: Host = None,
    base_path: BasePath = None,
    api: ApiId = None,
    root: Root = None,
    since: Since = None,
    exchanges: Annotated[
        int, Query(ge=1, le=100_000, description="The newest stored exchanges that are replayed at most.")
    ] = 10_000,
) -> TryoutReport:
    """Judges an API's stored exchanges by a proposed document: the calls that it would break, their
    consumers, and the breaking changes of which nobody makes use. Nothing is stored. It takes a minute at
    most: `cut` says if older exchanges were not judged, for this or by the limit.
    """
    target = TryoutTarget(api, host, base_path, since, exchanges)
    document = await sent(request, root)
    async with patience(request, TRYOUT_S) as is_over:
        return await here.read_document(here.tryouts.of, document, target, is_over)


@router.get("/specs")
def list_specs(
    here: Here,
    cluster: Place = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> models.Page[models.SpecInfo]:
    """All specifications, or those of a cluster's APIs, newest first, without the documents."""
    return page(here.specifications.listed(limit, decode(cursor), cluster or None), render.spec)


@router.delete("/specs/{id}", status_code=204)
async def remove_spec(here: Here, id: str) -> None:
    """Removes a specification. Counts and exchanges stay; the API's stored exchanges are re-validated shortly
    afterwards, by its remaining specifications.
    """
    await here.write(here.specifications.remove, id)


@router.get("/apis/{id}/spec/part", responses=MOVED)
def get_spec_part(
    here: Here,
    api: KnownApi,
    operation: Annotated[str | None, Query(max_length=4000, description="Such as `GET /users/{id}`.")] = None,
    place: Annotated[
        str | None, Query(max_length=4000, description="A JSON pointer, such as `/components/schemas/User`.")
    ] = None,
) -> models.SpecPart:
    """What the newest specification that has it says of an operation or at a place: give one of them."""
    return render.spec_part(*here.overview.spec_part(api, operation, place))


@router.get("/apis/{id}/spec", response_class=Response, responses=MOVED)
def get_spec(
    request: Request, here: Here, id: str, spec: Annotated[str | None, Query(max_length=100)] = None
) -> Response:
    """An API's specification as uploaded: the newest, or the one with this id."""
    found = here.specifications.of_api(id, spec)
    check_id(request, found.row.api)
    kind = "application/json" if found.is_json else "application/yaml"
    return Response(found.raw, media_type=kind, headers={"Content-Disposition": "inline; filename=spec"})
