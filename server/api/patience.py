"""How long a client's request is worked on: until it is answered, the client has left, or time is up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import Request

_EVERY_S = 0.5  # between two looks at the connection


@asynccontextmanager
async def patience(request: Request, seconds: float) -> AsyncIterator[Callable[[], bool]]:
    """Gives what tells, in any thread, whether the work on a request is over. Its body has been read."""
    ends_at = time.monotonic() + seconds
    watching = asyncio.create_task(_until_gone(request))
    try:
        yield lambda: watching.done() or time.monotonic() > ends_at
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _until_gone(request: Request) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(_EVERY_S)
