"""Liveness, readiness and metrics, for monitoring."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool

from server.api.context import Here
from server.api.gate import TokenRole, entitled
from server.services.errors import StoreUnavailable

READY_S = 10.0  # for the database to accept a write
router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz(here: Here, response: Response) -> dict[str, str]:
    """Healthy means that the database's writer makes progress: 503 if it hangs, so that a supervisor can
    restart the server.
    """
    reason = here.intake.why_stuck()
    response.status_code = 503 if reason else 200
    return {"status": reason or "ok"}


@router.get("/readyz")
async def readyz(here: Here, response: Response, agent: bool = False) -> dict[str, str]:
    """Ready means that the database accepts writes (503 otherwise); after a failure, large ones. A damaged
    database is not ready until it is salvaged. With `agent`, an agent must capture as well.
    """
    try:
        async with asyncio.timeout(READY_S):
            for check in here.intake.checks():
                await asyncio.wrap_future(check)
    except TimeoutError:
        raise StoreUnavailable(f"the database has accepted no write for {READY_S:.0f} s") from None
    reason = (await run_in_threadpool(here.fleet.freshness)).why_no_capture() if agent else None
    response.status_code = 503 if reason else 200
    return {"status": reason or "ok"}


@router.get("/metrics")
def metrics(request: Request, here: Here) -> Response:
    """Metrics by API only for who may read: its name is that of a host or workload."""
    text = generate_latest(here.metrics.registry)
    if entitled(request, TokenRole.ADMIN):
        text += generate_latest(here.metrics.by_api)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
