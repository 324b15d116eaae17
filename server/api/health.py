"""Liveness and readiness."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request

from server.api.paging import store_of

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> dict[str, str]:
    """Ready means that the database takes writes (503 otherwise); after a failure, large ones."""
    store = store_of(request)
    if store.refused is None:
        await asyncio.wrap_future(store.write(store.probe))
    else:
        await asyncio.wrap_future(store.write(store.take_room))
        await asyncio.wrap_future(store.write(store.give_room))
    return {"status": "ok"}
