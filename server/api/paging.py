"""Filters, cursors and pages of every list."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Literal, TypeVar

from fastapi import Depends, Query

from server.api import models
from server.api.errors import Problem
from server.services.narrowing import Cursor, Filters, Narrowing
from server.store.rows import Listed

R = TypeVar("R")
T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items on this page.")]
After = Annotated[str | None, Query(description="`next` of the previous page.", max_length=100)]
Place = Annotated[str | None, Query(max_length=300)]
"""The name of a cluster, node, namespace or workload."""


def encode(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(struct.pack(">QQ", *cursor)).decode().rstrip("=")


def decode(text: str | None) -> Cursor | None:
    """Decodes a cursor. Raises Problem (422) for anything that `encode` did not make."""
    if text is None:
        return None
    try:
        time, number = struct.unpack(">QQ", base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, struct.error, ValueError):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "query.cursor: not a cursor of this server") from None
    if max(time, number) >= 2**63:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "query.cursor: not a cursor of this server")
    return time, number


def page(listed: Listed[R], shown: Callable[[R], T]) -> models.Page[T]:
    """A page of a list."""
    following = None if listed.next is None else encode(listed.next)
    return models.Page(items=[shown(row) for row in listed.rows], next=following)


Since = Annotated[datetime | None, Query(description="RFC 3339; inclusive.")]


def narrowed(
    api: Annotated[str | None, Query(description="An API's id.", max_length=100)] = None,
    method: Annotated[str | None, Query(max_length=32)] = None,
    path_prefix: Annotated[
        str | None,
        Query(description="The start of an operation's template or an exchange's path.", max_length=2000),
    ] = None,
    status: Annotated[
        str | None, Query(description="Such as 404, or 4xx.", pattern=r"^(\d{3}|\dxx)?$")
    ] = None,
    verdict: Annotated[str | None, Query(max_length=32)] = None,
    consumer: Annotated[str | None, Query(description="A consumer's name.", max_length=300)] = None,
    namespace: Place = None,
    workload: Place = None,
    cluster: Place = None,
    pod: Annotated[str | None, Query(description="A pod's name.", max_length=300)] = None,
    image: Annotated[
        str | None, Query(description="An image as pods name it, or its digest.", max_length=600)
    ] = None,
    since: Since = None,
    until: Annotated[datetime | None, Query(description="RFC 3339; exclusive.")] = None,
    new_since: Annotated[
        datetime | None, Query(description="RFC 3339: first seen at or after this. Of exchanges: their time.")
    ] = None,
) -> Narrowing:
    """The filters of every list, as a dependency. An empty one, as sent by forms, counts as absent."""
    filters = Filters(
        method=method or None,
        path_prefix=path_prefix or None,
        status=int(status) if status and status.isdecimal() else None,
        status_class=int(status[0]) if status and status.endswith("xx") else None,
        verdict=verdict or None,
        consumer=consumer or None,
        namespace=namespace or None,
        workload=workload or None,
        cluster=cluster or None,
        pod=pod or None,
        image=image or None,
        since=nanoseconds(since),
        until=nanoseconds(until),
        new_since=nanoseconds(new_since),
    )
    return Narrowing(api or None, filters)


Narrow = Annotated[Narrowing, Depends(narrowed)]
Specified = Annotated[
    bool | None, Query(description="true: APIs with a specification; false: those without.")
]
StateAsked = Annotated[
    str,
    Query(
        alias="state",
        pattern="^(|open|accepted|ignored|all)$",
        description="Default: all except ignored ones.",
    ),
]
CalledState = Annotated[
    Literal["", "shadow", "zombie"],
    Query(
        alias="state",
        description="shadow: called and not described; zombie: called though deprecated. Default: all"
        " that were called.",
    ),
]
MAX_NS = 2**63 - 1  # the store's largest time: the year 2262


def nanoseconds(moment: datetime | None) -> int | None:
    """The time in ns, within what the store holds; without a zone it is UTC."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - EPOCH
    ns = (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
    return min(max(0, ns), MAX_NS)
