"""POST /records: receives batches. Acknowledged means committed."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from starlette.concurrency import run_in_threadpool

from agent.wire import MAX_BATCH, WireError
from server.api.bodies import bounded_body
from server.api.context import Context, Here
from server.api.errors import Problem
from server.api.gate import Deliverer
from server.api.models import Acked
from server.ingest.belonging import ForeignCluster, of_cluster
from server.ingest.decode import CODINGS, Delivery, decode
from server.ingest.outcomes import Received
from server.services.errors import KeyCollision, StoreUnavailable

router = APIRouter(prefix="/api/v1", tags=["records"])

log = logging.getLogger(__name__)

MAX_COLLISIONS = 1000  # in one batch, and what is settled with it


@router.post(
    "/records",
    openapi_extra={"requestBody": {"required": True, "content": {"application/msgpack": {}}}},
)
async def post_records(
    request: Request,
    response: Response,
    here: Here,
    cluster: Deliverer,
    content_encoding: Annotated[str, Header()] = "",
) -> Acked:
    """Stores a batch of records (msgpack, agent/wire/batch.py); a batch stored before is only acknowledged.

    The header Spectap-Stored says how many records are new. With a token of a cluster, a batch that names
    another one is answered 403.
    """
    metrics = here.metrics
    started = time.perf_counter()
    try:
        coding = content_encoding.strip().lower()
        if coding not in CODINGS:
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content coding: not zstd or identity")
        raw = await bounded_body(request, MAX_BATCH)
        async with here.batches_at_once:
            delivery = await run_in_threadpool(_decoded, raw, coding, cluster)
            counts = await _accepted(here, delivery)
    except (WireError, ForeignCluster, Problem) as error:
        metrics.batches.labels("refused").inc()
        log.warning("a batch was refused: %s", error)
        raise
    except StoreUnavailable:
        metrics.batches.labels("unavailable").inc()
        raise
    metrics.batches.labels("stored").inc()
    for outcome, count in counts.items():
        metrics.records.labels(outcome).inc(count)
    metrics.write_seconds.observe(time.perf_counter() - started)
    response.headers["spectap-stored"] = str(counts[Received.STORED] + counts[Received.WITNESS])
    return Acked(acked=delivery.batch.seq)


def _decoded(raw: bytes, coding: str, cluster: str | None) -> Delivery:
    """The batch, bound to the cluster of its token. Raises WireError and ForeignCluster."""
    delivery = decode(raw, coding)
    return delivery if cluster is None else of_cluster(delivery, cluster)


async def _accepted(here: Context, delivery: Delivery) -> dict[str, int]:
    """The number of records by Received; an exchange that cannot be counted holds up no other."""
    for _ in range(MAX_COLLISIONS):
        with suppress(KeyCollision):  # its exchange is left out at the next attempt
            return await asyncio.wrap_future(here.intake.accept(delivery))
    return await asyncio.wrap_future(here.intake.accept(delivery))
