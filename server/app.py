"""The wiring: store, acceptor, jobs and routes make the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import Depends, FastAPI, Security
from fastapi.security import HTTPBearer

from server.api import (
    agents,
    apis,
    coverage,
    deviations,
    errors,
    exchanges,
    gate,
    health,
    metrics,
    models,
    rebuilt,
    records,
    specs,
)
from server.api.metrics import Metrics, Sources
from server.api.parameters import only_known
from server.api.sessions import Sessions
from server.config import ServerSettings
from server.connections import Closed, Connections
from server.ingest.accept import Acceptor
from server.ingest.catalogue_editor import Load
from server.jobs import Jobs
from server.learning import NOT_LEARNT, Learned, Learning, Step
from server.store.database import Store
from server.store.retention import Bounds
from server.ui import pages

TITLE = "spectap"
VERSION = "v1"
PROBLEM = models.Problem.model_json_schema()
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": "A problem document.", "content": {errors.MEDIA_TYPE: {"schema": PROBLEM}}}
    for status in ("4XX", "5XX")
}
TOKEN = Security(HTTPBearer(auto_error=False, description="The ingest token for records, else the admin's."))
"""For the document at /openapi.json; `require` is what checks."""
ADMIN, KNOWN = Depends(gate.require(gate.Role.ADMIN)), Depends(only_known)  # in this order


def create_app(
    settings: ServerSettings, store: Store, load: Load, connections: Connections | None = None
) -> FastAPI:
    """The server over an open store, which it closes at the end. `load` reads specifications; `connections`
    are those it is reached by."""
    reached = connections or Connections()
    learning = Learning(store)
    jobs = Jobs(store, Bounds(settings.retention_days, settings.retention_bytes))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.acceptor = store.write(lambda db: Acceptor(db, load, jobs.judge_again)).result()
        store.on_undo(app.state.acceptor.forget)
        store.on_commit(app.state.acceptor.catalogue.publish)
        jobs.start(app.state.acceptor)
        learning.start()
        yield
        learning.stop()
        jobs.stop()
        store.close()

    app = FastAPI(title=TITLE, version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.settings = settings
    app.state.store = store
    app.state.load = load
    app.state.jobs = jobs
    app.state.learning = learning
    app.state.batches_at_once = asyncio.Semaphore(records.BATCHES_AT_ONCE)
    app.state.sessions = Sessions()
    app.state.metrics = Metrics(
        Sources(
            file_bytes=lambda: store.file_bytes,
            waiting=lambda: store.waiting,
            dropped=lambda: jobs.dropped,
            learnt=lambda: learning.counts[Learned.LEARNT],
            sampled_out=lambda: learning.counts[Learned.SAMPLED_OUT],
            not_learnt={reason: partial(learning.counts.__getitem__, reason) for reason in NOT_LEARNT},
            failures={step.value: partial(learning.failures.counts.__getitem__, step) for step in Step},
            connections=lambda: reached.open,
            closed={why.value: partial(reached.closed.__getitem__, why) for why in Closed},
        )
    )
    errors.install(app)
    app.add_middleware(gate.Door, settings=settings)
    app.include_router(records.router, responses=PROBLEMS, dependencies=[TOKEN])
    for router in (apis, specs, coverage, rebuilt, exchanges, deviations, agents):
        app.include_router(router.router, responses=PROBLEMS, dependencies=[TOKEN, ADMIN, KNOWN])
    for plain in (health, metrics):
        app.include_router(plain.router)
    pages.install(app)
    return app
