"""Coverage of an API's specifications by live traffic, or of another document by the stored samples."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from agent.wire import decode_record
from server.analysis.coverage.counts import By, Counts
from server.analysis.coverage.gaps import gaps
from server.analysis.coverage.outline import Outline
from server.analysis.coverage.report import calls, report
from server.analysis.coverage.table import csv_text
from server.analysis.views import most_seen
from server.api import coverage_models as models
from server.api.bundles import MAX_SPEC
from server.api.context import context_of
from server.api.errors import Problem
from server.api.gate import Role, require
from server.api.known import KnownApi
from server.api.paging import catalogue_of, store_of
from server.api.records import bounded_body
from server.api.specs import BODY
from server.specification import Specification, based
from server.store import coverage, specs

router = APIRouter(
    prefix="/api/v1/apis/{id}/coverage", dependencies=[Depends(require(Role.ADMIN))], tags=["coverage"]
)

MAX_SAMPLES = 10_000  # stored exchanges that are held against another document

Name = Annotated[str | None, Query(max_length=300, description="A name; * and ? stand for anything.")]


class Asked:
    """What every route here takes."""

    def __init__(
        self,
        by: Annotated[By, Query(description="What callers are told apart by.")] = By.USER_AGENT,
        level: Annotated[Literal["stable", "beta", "alpha"] | None, Query()] = None,
        tag: Annotated[str | None, Query(max_length=300)] = None,
        spec: Annotated[
            str | None,
            Query(max_length=100, description="A stored specification: the newest samples against it alone."),
        ] = None,
    ) -> None:
        self.by, self.spec = by, spec
        self._level, self._tag = level, tag

    def report(self, counted: tuple[Outline, Counts], caller: str | None) -> dict[str, Any]:
        return report(*counted, level=self._level, tag=self._tag, caller=caller)


Question = Annotated[Asked, Depends()]
CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}}}


@router.get("", response_model=models.Coverage, responses=CSV)
def get_coverage(
    request: Request,
    api: KnownApi,
    asked: Question,
    consumer: Name = None,
    format: Annotated[Literal["json", "csv"], Query()] = "json",
) -> Any:
    """What of an API's specifications was exercised, right or wrong, and by whom."""
    found = asked.report(_counted(request, api, asked), consumer)
    return Response(csv_text(found), media_type="text/csv") if format == "csv" else found


@router.get("/gaps", response_model=models.Gaps)
def get_gaps(
    request: Request,
    api: KnownApi,
    asked: Question,
    used_by: Annotated[str, Query(max_length=300)],
    not_by: Annotated[str, Query(max_length=300)],
) -> Any:
    """What callers of one name use and those of another do not, most called first: which test to write."""
    counted = _counted(request, api, asked)
    return gaps(asked.report(counted, used_by), asked.report(counted, not_by))


@router.post("", response_model=models.Coverage, openapi_extra=BODY)
async def post_coverage(request: Request, api: KnownApi, asked: Question, consumer: Name = None) -> Any:
    """The newest stored exchanges against the document sent, which is not kept: another release, perhaps."""
    raw = await bounded_body(request, MAX_SPEC)
    return await run_in_threadpool(_of_document, request, api, asked, consumer, raw)


def _of_document(
    request: Request, api: int, asked: Asked, consumer: str | None, raw: bytes
) -> dict[str, Any]:
    return asked.report(
        _sampled(request, api, asked.by, based(context_of(request).core.load, raw, None)), consumer
    )


def _counted(request: Request, number: int, asked: Asked) -> tuple[Outline, Counts]:
    if asked.spec is not None:
        return _sampled(request, number, asked.by, _stored(request, number, asked.spec))
    outline, counts = catalogue_of(request).outline(number), Counts()
    with store_of(request).reading() as db:
        for operation, caller, part, count in coverage.counts(db, number, asked.by):
            counts.add(operation, caller, [part], count)
        for method, template, status, count in coverage.undescribed(db, number):
            counts.add_unknown(method, template, f"{status // 100}xx" if status else "none", count)
    counts.exchanges = _exchanges(counts)
    return outline, counts


def _exchanges(counts: Counts) -> int:
    return sum(map(calls, counts.everyone.values())) + sum(one.total() for one in counts.unknown.values())


def _stored(request: Request, number: int, spec: str) -> Specification:
    with store_of(request).reading() as db:
        found = [row for row in specs.of_api(db, number) if row["id"] == spec]
    if not found:
        raise Problem(HTTPStatus.NOT_FOUND, "this API has no such specification")
    return based(context_of(request).core.load, found[0]["raw"], found[0]["base_path"])


def _sampled(request: Request, number: int, by: By, specification: Specification) -> tuple[Outline, Counts]:
    outline, counts = Outline([specification]), Counts()
    with store_of(request).reading() as db:
        for raws in coverage.samples(db, number, MAX_SAMPLES):
            views: Sequence[Any] = [decode_record(raw) for raw in raws]
            record = most_seen(views)
            if record.request is not None:
                counts.add_exchange(record, outline, specification.match(record), by, views)
    return outline, counts
