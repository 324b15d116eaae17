"""`spectap apis`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from server.client.filters import ApisFilters, fields
from server.offline.lists.columns import Column, attribute, moment
from server.offline.lists.command import ListCommand

if TYPE_CHECKING:
    from server.client.models import Api


def _item() -> type[Api]:
    from server.client.models import Api

    return Api


COMMAND: ListCommand[Api] = ListCommand(
    name="apis",
    path="/apis",
    item=_item,
    columns=(
        attribute("id", wide=True),
        attribute("name", shrinks=True, key=True),
        attribute("exchanges", key=True),
        attribute("operations"),
        Column("deviating", lambda one, _: one.verdicts.get("deviating", 0)),
        Column("shadow", lambda one, _: one.verdicts.get("shadow", 0)),
        Column("zombie", lambda one, _: one.verdicts.get("zombie", 0)),
        Column("specification", lambda one, _: _specifications(one), shrinks=True),
        moment("last_seen"),
        attribute("kind", wide=True),
        attribute("hosts", wide=True),
        attribute("process", wide=True),
        attribute("namespace", wide=True),
        attribute("workload", wide=True),
        attribute("cluster", wide=True),
        attribute("uncertain", wide=True),
        moment("first_seen", wide=True),
    ),
    filters=fields(ApisFilters),
    sorted_by=("last_seen", "first_seen", "exchanges", "operations"),
    description="Lists APIs, the one that was called last first: how often they were called, and how many"
    " calls deviate from their specification, are not described by it (shadow), or are deprecated (zombie).",
)


def _specifications(one: Api) -> list[str]:
    return [f"{spec.title} {spec.version}" for spec in one.specs]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap apis`."""
    COMMAND.add(subparsers)
