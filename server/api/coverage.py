"""Coverage of an API's specifications by live traffic, or of another document by the stored samples."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from server.analysis.coverage.counts import By
from server.analysis.coverage.documents import CoverageReport, GapReport
from server.analysis.coverage.table import csv_text
from server.api import coverage_models as models
from server.api.bodies import bounded_body
from server.api.bundles import BODY, MAX_SPEC
from server.api.context import Here
from server.api.gate import TokenRole, require
from server.api.known import MOVED, KnownApi
from server.services.coverage import Scope

router = APIRouter(
    prefix="/api/v1/apis/{id}/coverage", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["coverage"]
)

Name = Annotated[str | None, Query(max_length=300, description="A name; * and ? match anything.")]


def _scope(
    by: Annotated[By, Query(description="What consumers are distinguished by.")] = By.USER_AGENT,
    level: Annotated[Literal["stable", "beta", "alpha"] | None, Query()] = None,
    tag: Annotated[str | None, Query(max_length=300)] = None,
    spec: Annotated[
        str | None,
        Query(
            max_length=100,
            description="The id of a stored specification: its coverage alone, by the newest exchanges.",
        ),
    ] = None,
) -> Scope:
    """The parameters of every route here."""
    return Scope(by, level, tag, spec)


Asked = Annotated[Scope, Depends(_scope)]


@router.get("", response_model=models.Coverage, responses={**MOVED, 200: {"content": {"text/csv": {}}}})
def get_coverage(
    here: Here,
    api: KnownApi,
    asked: Asked,
    consumer: Name = None,
    format: Annotated[Literal["json", "csv"], Query()] = "json",
) -> CoverageReport | Response:
    """The parts of an API's specifications that were exercised, conforming or not, and by whom."""
    found = here.coverage.of_api(api, asked, consumer)
    return Response(csv_text(found), media_type="text/csv") if format == "csv" else found


@router.get("/gaps", response_model=models.Gaps, responses=MOVED)
def get_gaps(
    here: Here,
    api: KnownApi,
    asked: Asked,
    used_by: Annotated[str, Query(max_length=300)],
    not_by: Annotated[str, Query(max_length=300)],
) -> GapReport:
    """Parts that consumers of one name use and those of another do not, most called first: the next tests to
    write.
    """
    return here.coverage.gaps(api, asked, used_by, not_by)


@router.post("", response_model=models.Coverage, openapi_extra=BODY)
async def post_coverage(
    request: Request, here: Here, api: KnownApi, asked: Asked, consumer: Name = None
) -> CoverageReport:
    """Coverage of the document sent, such as another release, by the newest stored exchanges. It is not
    stored.
    """
    raw = await bounded_body(request, MAX_SPEC)
    return await here.read_document(here.coverage.of_document, api, asked, consumer, raw)
