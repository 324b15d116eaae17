"""`spectap deviations`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from server.client.filters import DeviationsFilters, fields
from server.offline.lists.columns import Column, attribute, by_word, moment
from server.offline.lists.command import ListCommand

if TYPE_CHECKING:
    from server.client.models import StoredDeviation


def _item() -> type[StoredDeviation]:
    from server.client.models import StoredDeviation

    return StoredDeviation


COMMAND: ListCommand[StoredDeviation] = ListCommand(
    name="deviations",
    path="/deviations",
    item=_item,
    columns=(
        attribute("id", wide=True),
        attribute("severity", colour=by_word, key=True),
        attribute("kind", key=True),
        attribute("operation", shrinks=True, key=True),
        Column("where", lambda one, _: f"{one.where} {one.pointer}".rstrip(), shrinks=True),
        attribute("count"),
        moment("last_seen"),
        attribute("message", shrinks=True),
        Column("api", lambda one, names: names(one.api), wide=True),
        attribute("fault", wide=True),
        attribute("state", wide=True),
        Column("consumers", lambda one, _: " | ".join(each.name for each in one.callers), wide=True),
        attribute("reason", wide=True),
        attribute("decided_by", wide=True),
        moment("first_seen", wide=True),
        attribute("exchange", wide=True),
    ),
    filters=fields(DeviationsFilters),
    sorted_by=("last_seen", "first_seen", "count"),
    description="Lists differences from the specifications, once each, the one that was seen last first;"
    " without ignored ones, unless --state asks for them.",
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap deviations`."""
    COMMAND.add(subparsers)
