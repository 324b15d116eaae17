"""The context of routes and pages: created once, and passed to each as a dependency."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, ParamSpec, TypeVar

from fastapi import Depends, FastAPI, Request
from starlette.concurrency import run_in_threadpool

from server.api.metrics import Metrics
from server.api.sessions import Sessions
from server.config import ServerSettings
from server.core import Core
from server.services.consumers import KnownConsumers
from server.services.coverage import CoverageReports
from server.services.deviations import Deviations
from server.services.exchanges import StoredExchanges
from server.services.fleet import Fleet
from server.services.intake import Intake
from server.services.inventory import Inventory
from server.services.overview import Overview
from server.services.proposals import Proposals
from server.services.rebuilding import Rebuilding
from server.services.specifications import Specifications
from server.services.tokens import ClusterTokens
from server.services.tryouts import Tryouts

P = ParamSpec("P")
T = TypeVar("T")

BATCHES_AT_ONCE = 8  # decoded and waiting to be written; more wait as bytes
WRITES_AT_ONCE = 8  # threads that wait for the writer; the others stay free for reads
DOCUMENTS_AT_ONCE = 1  # sent specifications that are read: one of 4 MB can take 400 MB meanwhile


@dataclass(frozen=True, slots=True)
class Context:
    """The use cases (server/services), and the state of HTTP."""

    settings: ServerSettings
    metrics: Metrics
    intake: Intake
    inventory: Inventory
    overview: Overview
    consumers: KnownConsumers
    exchanges: StoredExchanges
    fleet: Fleet
    specifications: Specifications
    tryouts: Tryouts
    deviations: Deviations
    proposals: Proposals
    coverage: CoverageReports
    rebuilding: Rebuilding
    tokens: ClusterTokens
    sessions: Sessions = field(default_factory=Sessions)
    batches_at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BATCHES_AT_ONCE))
    documents_at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(DOCUMENTS_AT_ONCE))
    writes_at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(WRITES_AT_ONCE))

    @classmethod
    def of(cls, settings: ServerSettings, core: Core, metrics: Metrics) -> Context:
        """The context over a server's core."""
        store, catalogue = core.store, core.acceptor.catalogue
        proposals = Proposals(store, catalogue, core.load)
        return cls(
            settings=settings,
            metrics=metrics,
            intake=Intake(store, core.acceptor),
            inventory=Inventory(store, catalogue),
            overview=Overview(store, catalogue),
            consumers=KnownConsumers(store),
            exchanges=StoredExchanges(store, catalogue),
            fleet=Fleet(store),
            specifications=Specifications(store, core.acceptor, core.load, core.jobs.judge_again),
            tryouts=Tryouts(store, catalogue, core.load),
            deviations=Deviations(store, catalogue, proposals, core.jobs.judge_again),
            proposals=proposals,
            coverage=CoverageReports(store, catalogue, core.load),
            rebuilding=Rebuilding(store, core.learning.publish_soon),
            tokens=ClusterTokens(store),
        )

    async def write(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Runs a use case that waits for the writer, on one of WRITES_AT_ONCE threads."""
        async with self.writes_at_once:
            return await run_in_threadpool(work, *arguments, **named)

    async def read_document(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Runs a use case that reads a sent specification: others wait, as bytes."""
        async with self.documents_at_once:
            return await run_in_threadpool(work, *arguments, **named)


def install(app: FastAPI, context: Context) -> None:
    """Sets the context of all requests to an application."""
    app.state.context = context


def context_of(request: Request) -> Context:
    """The context of a request, for code without dependencies."""
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


async def _context(request: Request) -> Context:
    return context_of(request)


Here = Annotated[Context, Depends(_context)]
