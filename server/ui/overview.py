"""The first page: a person's questions, each with its answer and one click from the evidence."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from agent.wire import lost
from server.api.context import Here
from server.services.overview import Estate
from server.ui.door import Page, admin, page, server_of

router = APIRouter(route_class=Page, include_in_schema=False, dependencies=[Depends(admin)])


@router.get("/")
def overview_page(request: Request, here: Here) -> Response:
    found = here.overview.estate()
    return page(
        request,
        "overview.html",
        found=found,
        totals=_totals(found),
        heard=found.agent is not None,
        server=server_of(request),
    )


def _totals(found: Estate) -> dict[str, int]:
    """Bytes and exchanges of all agents."""
    seen = found.ledgers.agents
    return {
        "bytes": seen.get("bytes", {}).get("parsed", 0),
        "bytes_lost": lost(seen, "bytes"),
        "exchanges_lost": lost(seen, "exchanges"),
    }
