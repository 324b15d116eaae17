"""Wires HTTP: routes and pages over a core."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import Depends, FastAPI, Security
from fastapi.security import HTTPBearer

from server.analysis.rebuild.learn_input import LearnOutcome
from server.annotated_specs import AnnotatedSpecs
from server.api import (
    agents,
    apis,
    consumers,
    context,
    coverage,
    delivery,
    described,
    deviations,
    errors,
    exchanges,
    gate,
    health,
    mcp,
    models,
    operations,
    query_fields,
    rebuilt,
    records,
    specs,
    tokens,
)
from server.api.context import Context
from server.api.metrics import Metrics, Sources
from server.api.parameters import only_known
from server.cluster.service_names import ServiceNames
from server.config import ServerSettings
from server.connections import CloseReason, Connections
from server.core import Core
from server.deadline import STOP_S
from server.ingest.holding import SettledBy
from server.ingest.outcomes import IN_DOUBT, MISDATED, UNCERTAIN, Left
from server.learning.outcomes import REASONS, LearningStep, NotLearnt
from server.services.fleet import Fleet
from server.services.measures import Measures
from server.store.parts import StoredPart
from server.ui import pages

PROBLEM = models.Problem.model_json_schema()
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": "A problem document.", "content": {errors.MEDIA_TYPE: {"schema": PROBLEM}}}
    for status in ("4XX", "5XX")
}
TOKEN = Security(HTTPBearer(auto_error=False, description="The ingest token for records, else the admin's."))
"""For the document at /openapi.json; `require` does the check."""
ADMIN, KNOWN = Depends(gate.require(gate.TokenRole.ADMIN)), Depends(only_known)  # in this order


def create_app(
    settings: ServerSettings,
    core: Core,
    connections: Connections | None = None,
    left: Callable[[], float] = lambda: STOP_S,
) -> FastAPI:
    """The routes and pages of a server; they start and stop its core. `connections` are the clients'; `left`
    returns the seconds the core has to stop.
    """
    reached = connections or Connections()
    here = Context.of(settings, core, Metrics(_sources(core, reached)))
    annotated = _annotated_specs(settings, core, here)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        core.start()
        for one in annotated:
            one.start()
        yield
        for one in annotated:
            one.stop()
        await assistants.stop()
        core.stop(left())

    app = FastAPI(**described.about(), lifespan=lifespan, docs_url=None, redoc_url=None)
    context.install(app, here)
    errors.install(app)
    app.add_middleware(gate.Door, settings=settings)
    delivery.install(app)
    app.include_router(records.router, responses=PROBLEMS, dependencies=[TOKEN])
    for router in (
        apis,
        operations,
        specs,
        coverage,
        rebuilt,
        exchanges,
        deviations,
        consumers,
        agents,
        tokens,
        query_fields,
    ):
        app.include_router(router.router, responses=PROBLEMS, dependencies=[TOKEN, ADMIN, KNOWN])
    app.include_router(health.router)
    assistants = mcp.install(app)
    pages.install(app)
    return app


def _annotated_specs(settings: ServerSettings, core: Core, here: Context) -> Sequence[AnnotatedSpecs]:
    """None without a cluster."""
    cluster, names = settings.cluster, core.names
    if cluster is None or not isinstance(names, ServiceNames):
        return ()
    return (AnnotatedSpecs(cluster, names, core.store, here.specifications),)


def _sources(core: Core, reached: Connections) -> Sources:
    """The values of the metrics, read at each scrape."""
    store, jobs, learning, acceptor = core.store, core.jobs, core.learning, core.acceptor
    return Sources(
        file_bytes=lambda: store.used_bytes,
        waiting=lambda: store.waiting,
        dropped=lambda: jobs.dropped,
        held=lambda: acceptor.held,
        watermark_age=lambda: acceptor.watermark_age(time.time_ns()),
        uncertain=lambda: acceptor.totals[UNCERTAIN],
        in_doubt=lambda: acceptor.totals[IN_DOUBT],
        misdated=lambda: acceptor.totals[MISDATED],
        late_given_up=lambda: jobs.given_up,
        settled={by.value: partial(acceptor.totals.__getitem__, by) for by in SettledBy},
        left_out={what.value: partial(acceptor.totals.__getitem__, what) for what in Left},
        learnt=lambda: learning.counts[LearnOutcome.LEARNT],
        sampled_out=lambda: learning.counts[NotLearnt.SAMPLED_OUT],
        not_learnt={reason: partial(learning.counts.__getitem__, reason) for reason in REASONS},
        failures={step.value: partial(learning.failures.counts.__getitem__, step) for step in LearningStep},
        unreadable={part.value: partial(store.unreadable, part) for part in StoredPart},
        connections=lambda: reached.open,
        closed={why.value: partial(reached.closed.__getitem__, why) for why in CloseReason},
        freshness=Fleet(store).freshness,
        measured=Measures(store, acceptor.catalogue, acceptor.calls.copy).now,
    )
