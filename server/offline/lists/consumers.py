"""`spectap consumers`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from server.client.filters import ConsumersFilters, fields
from server.offline.lists.columns import attribute, moment
from server.offline.lists.command import ListCommand

if TYPE_CHECKING:
    from server.client.models import ConsumerCalls


def _item() -> type[ConsumerCalls]:
    from server.client.models import ConsumerCalls

    return ConsumerCalls


COMMAND: ListCommand[ConsumerCalls] = ListCommand(
    name="consumers",
    path="/consumers",
    item=_item,
    columns=(
        attribute("id", wide=True),
        attribute("name", shrinks=True, key=True),
        attribute("kind"),
        attribute("calls", key=True),
        attribute("deprecated_calls"),
        attribute("operations"),
        attribute("apis"),
        moment("last_seen"),
        moment("first_seen", wide=True),
    ),
    filters=fields(ConsumersFilters),
    sorted_by=("calls", "deprecated_calls", "operations", "last_seen", "first_seen"),
    description="Lists consumers, busiest first, with the calls that the filters select. With"
    " --deprecated yes they are those who must be told.",
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap consumers`."""
    COMMAND.add(subparsers)
