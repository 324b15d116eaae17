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
    """Ready means that the database takes a write (503 otherwise)."""
    store = store_of(request)
    await asyncio.wrap_future(store.write(store.probe))
    return {"status": "ok"}
