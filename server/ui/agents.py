"""The agents: how far behind each is, and what became of all that they saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Depends, Request, Response

from agent.wire import LOSSES, TOTALS, lost
from server.api import models, render
from server.api.context import Here
from server.api.paging import After, decode
from server.api.paging import page as listed
from server.ui.door import Page, admin, page, server_of

AGENTS = 50
EARLIER = "earlier start"

router = APIRouter(route_class=Page, include_in_schema=False, dependencies=[Depends(admin)])


@dataclass(frozen=True, slots=True)
class LedgerPart:
    """A bucket as a part of a bar that is 100 wide."""

    name: str
    count: int
    start: float
    width: float
    lost: bool
    in_bytes: bool


@dataclass(frozen=True, slots=True)
class AgentLine:
    """One start of an agent; `rate` is the records per second since it began."""

    agent: models.Agent
    state: str
    rate: str
    bytes: Sequence[LedgerPart]
    exchanges: Sequence[LedgerPart]


@router.get("/agents")
def agents_page(request: Request, here: Here, cursor: After = None) -> Response:
    after = decode(cursor)
    found = listed(here.fleet.agents(AGENTS, after), render.agent)
    report = here.fleet.ledger()
    states = {(one.cluster, one.agent): one.state for one in here.fleet.freshness().agents}
    return page(
        request,
        "agents.html",
        lines=_lines(found.items, states),
        next=found.next,
        ledgers={part: ledger_parts(report.agents.get(part, {}), part) for part in TOTALS},
        lost={part: lost(report.agents, part) for part in TOTALS},
        balance=report.balance,
        server=server_of(request),
        newest=after is None,
    )


def _lines(
    agents: Sequence[models.Agent], states: Mapping[tuple[str | None, str], str]
) -> Sequence[AgentLine]:
    """The first line of an agent, its newest start, has its present state."""
    found, seen = [], set[tuple[str | None, str]]()
    for one in agents:
        key = one.cluster, one.agent
        state = EARLIER if key in seen else states.get(key, "not heard of for an hour")
        seen.add(key)
        parts = {part: ledger_parts(one.ledger.get(part, {}), part) for part in TOTALS}
        found.append(AgentLine(one, state, _rate(one), parts["bytes"], parts["exchanges"]))
    return found


def _rate(one: models.Agent) -> str:
    lasted = datetime.fromisoformat(one.last_seen) - datetime.fromisoformat(one.first_seen)
    seconds = lasted.total_seconds()
    return f"{one.records / seconds:,.1f}" if seconds >= 1 else "\u2013"


def ledger_parts(counts: Mapping[str, int], part: str) -> Sequence[LedgerPart]:
    """The buckets of one part of a ledger, largest first, without its total and without empty ones."""
    buckets = sorted(
        ((name, count) for name, count in counts.items() if name != TOTALS[part] and count > 0),
        key=lambda item: (-item[1], item[0]),
    )
    total, start, found = sum(count for _, count in buckets), 0.0, []
    for name, count in buckets:
        width = 100 * count / total
        found.append(
            LedgerPart(name, count, round(start, 2), round(width, 2), name in LOSSES[part], part == "bytes")
        )
        start += width
    return found
