"""Agents, and the ledgers of bytes and exchanges."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from server.api import models, render
from server.api.context import Here
from server.api.gate import TokenRole, require
from server.api.paging import DEFAULT_LIMIT, After, Limit, Place, decode, page

router = APIRouter(prefix="/api/v1", dependencies=[Depends(require(TokenRole.ADMIN))], tags=["agents"])


@router.get("/agents")
def list_agents(
    here: Here,
    cluster: Place = None,
    node: Place = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: After = None,
) -> models.Page[models.Agent]:
    """Every start of every agent, the latest report first, each with its lag and its own ledger."""
    return page(here.fleet.agents(limit, decode(cursor), cluster or None, node or None), render.agent)


@router.get("/ledger")
def get_ledger(here: Here, cluster: Place = None) -> models.Ledger:
    """Totals of bytes from kernel to parser, and of exchanges from parser to store; of all agents, or those
    of a cluster.
    """
    return render.ledger(here.fleet.ledger(cluster or None))
