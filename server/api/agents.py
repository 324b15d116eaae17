"""Who delivers, and where every byte and exchange went."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from server.api import models, render
from server.api.gate import Role, require
from server.api.paging import DEFAULT_LIMIT, After, Limit, decode, page, store_of
from server.services.listing import Listed
from server.store import agents

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(Role.ADMIN))], tags=["agents"])


@router.get("/agents", response_model=models.Page[models.Agent])
def list_agents(request: Request, limit: Limit = DEFAULT_LIMIT, cursor: After = None) -> Any:
    """Every start of every agent, most recently heard of first, with its own ledger."""
    after = decode(cursor)
    with store_of(request).reading() as db:
        rows = agents.agents(db, limit + 1, after)
    return page(Listed.cut(rows, limit), "last_seen", render.agent)


@router.get("/ledger", response_model=models.Ledger)
def get_ledger(request: Request) -> Any:
    """Totals: bytes from kernel to parser, exchanges from parser to store."""
    with store_of(request).reading() as db:
        found = agents.ledger(db)
    return render.ledger(found)
