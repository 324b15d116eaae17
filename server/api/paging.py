"""Filters, cursors and pages of every list."""

from __future__ import annotations

import base64
import binascii
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from inspect import Parameter, Signature
from typing import Annotated, Literal, TypeVar

from fastapi import Depends, Query

from server.api import models
from server.api.errors import Problem
from server.query.errors import BadValue, QueryError
from server.query.fields import FIELDS, ListName, QueryField, fields_of
from server.query.filtering import both, from_parameters, parsed
from server.query.language import MAX_LENGTH
from server.query.moments import moment
from server.query.sorting import SORTS, sort_of
from server.services.narrowing import Cursor, Filters
from server.store.rows import Listed

R = TypeVar("R")
T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 500

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
        key, number = struct.unpack(">QQ", base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, struct.error, ValueError):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "query.cursor: not a cursor of this server") from None
    if max(key, number) >= 2**63:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "query.cursor: not a cursor of this server")
    return key, number


def page(listed: Listed[R], shown: Callable[[R], T]) -> models.Page[T]:
    """A page of a list."""
    following = None if listed.next is None else encode(listed.next)
    return models.Page(items=[shown(row) for row in listed.rows], next=following)


DESCRIBED = "May be repeated: any of the values."


QUERY = Parameter(
    "q",
    Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        Query(
            description="A query, such as `status:5xx -consumer:legacy* took:>500ms refund`: all its terms.",
            max_length=MAX_LENGTH,
        ),
    ],
)


def _sort(of: ListName) -> Parameter:
    """The order of a list as a parameter."""
    known = ", ".join(SORTS[of])
    description = f"{known}: from the lowest, with - before it from the highest. Default: -{SORTS[of][0]}."
    annotation = Annotated[str | None, Query(description=description, max_length=50)]
    return Parameter("sort", Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _parameter(field: QueryField) -> Parameter:
    """A filter as a parameter of a route."""
    more = f" Such as {field.example}. {DESCRIBED}" if field.read else f" Such as {field.example}."
    annotation = Annotated[list[str] | None, Query(description=f"{field.meaning}.{more}")]
    return Parameter(field.name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _narrowed(of: ListName, *, ordered: bool = True) -> Callable[..., Filters]:
    """A dependency: the filters and order that a request asks of a list. It raises Problem (422)."""

    def filters(*, q: str | None, sort: str | None = None, **asked: list[str] | None) -> Filters:
        given = {name: values for name, values in asked.items() if values}
        now = time.time_ns()
        try:
            by_parameters = from_parameters(of, given, now)
            order = sort_of(of, sort) if sort else None
        except QueryError as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"query.{error}") from None
        try:
            return replace(both(by_parameters, parsed(of, q or "", now)), sort=order)
        except QueryError as error:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"query.q: {error}", position=error.position
            ) from None

    parameters = [QUERY, *([_sort(of)] if ordered else []), *map(_parameter, fields_of(of).values())]
    signature = Signature(parameters, return_annotation=Filters)
    vars(filters)["__signature__"] = signature  # FastAPI reads the parameters from there
    return filters


ApiFilters = Annotated[Filters, Depends(_narrowed(ListName.APIS))]
OperationFilters = Annotated[Filters, Depends(_narrowed(ListName.OPERATIONS))]
DeviationFilters = Annotated[Filters, Depends(_narrowed(ListName.DEVIATIONS))]
ConsumerFilters = Annotated[Filters, Depends(_narrowed(ListName.CONSUMERS))]
CountedCalls = Annotated[Filters, Depends(_narrowed(ListName.CONSUMERS, ordered=False))]
CountedExchanges = Annotated[Filters, Depends(_narrowed(ListName.EXCHANGES, ordered=False))]
ExchangeFilters = Annotated[Filters, Depends(_narrowed(ListName.EXCHANGES))]


StateAsked = Annotated[
    Literal["", "shadow", "zombie", "unused"],
    Query(
        alias="state",
        description="shadow: called and not described; zombie: called though deprecated; unused: described"
        " and never called, in the documents' order. Default: all that were called.",
    ),
]


def _since(
    since: Annotated[str | None, Query(description=f"{FIELDS['since'].meaning}.", max_length=100)] = None,
) -> int | None:
    """A dependency: a time in ns. It raises Problem (422)."""
    try:
        return moment(since, time.time_ns()) if since else None
    except BadValue as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"query.since: {error}") from None


Since = Annotated[int | None, Depends(_since)]
