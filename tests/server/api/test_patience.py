"""How long a request is worked on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import Request
from starlette.types import Message

from server.api.patience import patience


def test_work_is_over_once_the_client_has_left() -> None:
    async def run() -> None:
        left = asyncio.Event()

        async def receive() -> Message:
            await left.wait()
            return {"type": "http.disconnect"}

        async with patience(Request({"type": "http"}, receive), 600) as is_over:
            await asyncio.sleep(0)
            assert not is_over()
            left.set()
            await asyncio.wait_for(_until(is_over), 60)

    asyncio.run(run())


def test_work_is_over_once_time_is_up() -> None:
    async def run() -> None:
        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        async with patience(Request({"type": "http"}, receive), -1) as is_over:
            assert is_over()

    asyncio.run(run())


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0)
