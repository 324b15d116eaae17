"""An API's id in a path → its number, once for all routes and pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from server.api.context import Here
from server.services.errors import UnknownApi
from server.store.queries import number_of_api


def known_api(id: str, here: Here) -> int:
    """The number of the API of this id, or of the one it was merged into. Raises UnknownApi."""
    with here.core.store.reading() as db:
        number = number_of_api(db, id)
    if number is None:
        raise UnknownApi
    return number


KnownApi = Annotated[int, Depends(known_api)]
