"""The first page: a person's questions, each with its answer and one click from the evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from agent.wire import lost
from server.api.context import Here
from server.services.consumers import PeriodCounts
from server.services.overview import Estate
from server.ui.charts import by_fault, by_status, by_verdict
from server.ui.door import Page, admin, page, server_of

DAY_H = 24
MAX_HOURS = 7 * 24  # older hours are summed by day

router = APIRouter(route_class=Page, include_in_schema=False, dependencies=[Depends(admin)])


@router.get("/")
def overview_page(
    request: Request, here: Here, hours: Annotated[int, Query(ge=1, le=MAX_HOURS)] = DAY_H
) -> Response:
    found = here.overview.estate()
    both = here.consumers.last_hours(2 * hours)
    before, shown = both[:-hours], both[-hours:]
    recent = here.consumers.last_hour() if hours == 1 else None
    bars = shown if recent is None else recent.minutes
    return page(
        request,
        "overview.html",
        found=found,
        by_status=by_status(bars),
        by_verdict=by_verdict(bars),
        faults=by_fault(shown),
        shown_since=shown[0].time,
        step="hour" if recent is None else "minute",
        counted_since=recent.since if recent else None,
        conforming=[_conforming(before), _conforming(shown)],
        shown_hours=hours,
        totals=_totals(found),
        heard=found.agent is not None,
        server=server_of(request),
    )


def _conforming(periods: Sequence[PeriodCounts]) -> float | None:
    """The share of calls that conform, of those that were judged; None if none was."""
    judged = sum(sum(one.verdicts.values()) for one in periods)
    return sum(one.verdicts.get("conforming", 0) for one in periods) / judged if judged else None


def _totals(found: Estate) -> dict[str, int]:
    """Bytes and exchanges of all agents."""
    seen = found.ledgers.agents
    return {
        "bytes": seen.get("bytes", {}).get("parsed", 0),
        "bytes_lost": lost(seen, "bytes"),
        "exchanges_lost": lost(seen, "exchanges"),
    }
