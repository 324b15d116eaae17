"""An id in a path → what it stands for, for all routes and pages."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse

from server.api.context import Here

READING = frozenset({"GET", "HEAD"})
MOVED: dict[int | str, dict[str, object]] = {
    308: {"description": "The id is an earlier one: Location has the address with the present one."}
}
"""Of routes that read by an API's id, for the API's own document."""


class MovedId(Exception):
    """The request names a thing by an earlier id: it has another address now."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location

    def answer(self) -> RedirectResponse:
        return RedirectResponse(self.location, HTTPStatus.PERMANENT_REDIRECT)


def check_id(request: Request, present: str) -> None:
    """Redirects reads by an earlier id to the present one; writes are served as they are. Raises MovedId."""
    scope = request.scope
    if request.method in READING and request.path_params["id"] != present:
        path = scope["route"].path_format.format(**{**request.path_params, "id": present})
        query = f"?{request.url.query}" if request.url.query else ""
        raise MovedId(f"{scope.get('root_path', '')}{path}{query}")


def known_api(request: Request, id: str, here: Here) -> int:
    """The number of the API with this id, or of the one it leads to. Raises UnknownApi and MovedId."""
    found = here.inventory.found(id)
    check_id(request, found.id)
    return found.number


KnownApi = Annotated[int, Depends(known_api)]
