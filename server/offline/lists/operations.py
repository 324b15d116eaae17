"""`spectap operations`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from server.client.filters import OperationsFilters, fields
from server.offline.lists.columns import Column, attribute, moment
from server.offline.lists.command import ListCommand

if TYPE_CHECKING:
    from server.client.models import Operation


def _item() -> type[Operation]:
    from server.client.models import Operation

    return Operation


COMMAND: ListCommand[Operation] = ListCommand(
    name="operations",
    path="/operations",
    item=_item,
    columns=(
        attribute("id", wide=True),
        attribute("operation", shrinks=True, key=True),
        Column("api", lambda one, names: names(one.api), shrinks=True),
        attribute("count", key=True),
        attribute("statuses", shrinks=True),
        attribute("verdicts", shrinks=True),
        Column("p95_ms", lambda one, _: one.latency_ms.p95),
        attribute("deprecated"),
        moment("last_seen"),
        Column("consumers", lambda one, _: " | ".join(each.name for each in one.callers), wide=True),
        attribute("operation_id", wide=True),
        attribute("kind", wide=True),
        attribute("uncertain", wide=True),
        Column("p50_ms", lambda one, _: one.latency_ms.p50, wide=True),
        Column("p99_ms", lambda one, _: one.latency_ms.p99, wide=True),
        moment("first_seen", wide=True),
    ),
    filters=fields(OperationsFilters),
    sorted_by=("count", "last_seen", "first_seen"),
    shown={"state": "zombie"},
    description="Lists operations, busiest first: their calls by status and by verdict, and the 95th"
    " percentile of their duration. --state lists what is called and not described (shadow), called though"
    " deprecated (zombie), or described and never called (unused).",
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap operations`."""
    COMMAND.add(subparsers)
