"""What routes and pages work with: made once when the server is wired, and handed to each as a dependency."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from server.api.metrics import Metrics
from server.api.sessions import Sessions
from server.config import ServerSettings
from server.core import Core
from server.services.specifications import Specifications

BATCHES_AT_ONCE = 8  # decoded and waiting to be written; more wait as bytes


@dataclass(frozen=True, slots=True)
class Context:
    settings: ServerSettings
    core: Core
    metrics: Metrics
    specifications: Specifications
    sessions: Sessions = field(default_factory=Sessions)
    batches_at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(BATCHES_AT_ONCE))

    @classmethod
    def of(cls, settings: ServerSettings, core: Core, metrics: Metrics) -> Context:
        """The use cases of a server over what it runs."""
        return cls(
            settings=settings,
            core=core,
            metrics=metrics,
            specifications=Specifications(core.store, core.acceptor, core.load, core.jobs.judge_again),
        )


def install(app: FastAPI, context: Context) -> None:
    """Makes it the context of all requests to an application."""
    app.state.context = context


def context_of(request: Request) -> Context:
    """The context of a request, where there are no dependencies."""
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


async def _context(request: Request) -> Context:
    return context_of(request)


Here = Annotated[Context, Depends(_context)]
