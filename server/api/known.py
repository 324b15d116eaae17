"""An API's id in a path → its number, for all routes and pages."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from server.api.context import Here


def known_api(id: str, here: Here) -> int:
    """The number of the API with this id, or of the one it was merged into. Raises UnknownApi."""
    return here.inventory.number(id)


KnownApi = Annotated[int, Depends(known_api)]
