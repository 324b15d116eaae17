"""`spectap exchanges`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from server.client.filters import ExchangesFilters, fields
from server.offline.lists.columns import Column, Moment, attribute, by_status, by_word
from server.offline.lists.command import ListCommand

if TYPE_CHECKING:
    from server.client.exchange_models import Bytes, Endpoint, Exchange


def _item() -> type[Exchange]:
    from server.client.exchange_models import Exchange

    return Exchange


MILLISECONDS = 3  # digits of a second


def text_of(part: Bytes | None) -> str | None:
    """A captured text; base64 where it is not UTF-8."""
    return None if part is None else part.text if part.text is not None else part.base64


def _workload(end: Endpoint | None) -> str | None:
    """NAMESPACE/NAME of one end."""
    return f"{end.namespace}/{end.workload}" if end is not None and end.workload else None


COMMAND: ListCommand[Exchange] = ListCommand(
    name="exchanges",
    path="/exchanges",
    item=_item,
    columns=(
        attribute("id", wide=True),
        Column("time", lambda one, _: Moment(one.time, MILLISECONDS)),
        attribute("status", colour=by_status, key=True),
        attribute("verdict", colour=by_word),
        Column("took_ms", lambda one, _: one.duration_ms),
        attribute("method", key=True),
        Column("path", lambda one, _: text_of(one.path), shrinks=True, key=True),
        attribute("host", shrinks=True),
        Column("consumer", lambda one, _: one.consumer.name, shrinks=True),
        Column("api", lambda one, names: names(one.api), wide=True),
        attribute("operation", wide=True),
        Column("query", lambda one, _: text_of(one.query), wide=True),
        Column("deviations", lambda one, _: [each.kind for each in one.deviations], wide=True),
        attribute("why", wide=True),
        attribute("fault", wide=True),
        attribute("deprecated", wide=True),
        attribute("uncertain", wide=True),
        Column("client_workload", lambda one, _: _workload(one.client), wide=True),
        Column("server_workload", lambda one, _: _workload(one.server), wide=True),
        attribute("protocol", wide=True),
        attribute("tls", wide=True),
        attribute("completeness", wide=True),
    ),
    filters=fields(ExchangesFilters),
    sorted_by=("time",),
    description="Lists exchanges, newest first, as long as retention keeps them. -o json has all of each:"
    " headers, bodies and views.",
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """`spectap exchanges`."""
    COMMAND.add(subparsers)
