"""Refuses unknown query parameters: a misspelt filter would be ignored otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from itertools import islice

from fastapi import Request
from fastapi.dependencies.models import Dependant

from server.api.errors import Problem

MOST_SHOWN = 10  # unknown names in a message
MOST_CHARACTERS = 100


def only_known(request: Request) -> None:
    """A dependency of every route for people. Raises Problem (422), which names unknown and known
    parameters.
    """
    known = sorted(set(_names(request.scope["route"].dependant)))
    unknown = [name[:MOST_CHARACTERS] for name in request.query_params if name not in known]
    if not unknown:
        return
    reason = f"no such parameter; known here: {', '.join(known) or 'none'}"
    errors = [{"where": f"query.{name}", "reason": reason} for name in islice(unknown, MOST_SHOWN)]
    raise Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"{', '.join(one['where'] for one in errors)}: {reason}",
        errors=errors,
        known=known,
    )


def _names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _names(inner)
