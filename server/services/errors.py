"""Why a use case was not done: sentences without capital and period, with nothing captured in them.

They are translated once, at the door: api/errors.py for programs, ui/door.py for people.
"""

from __future__ import annotations

from server.store.errors import StoreUnavailable

__all__ = ["Conflict", "InvalidInput", "NoTarget", "NotFound", "StoreUnavailable", "UnknownApi"]


class NotFound(LookupError):
    """What was asked for does not exist, or no longer."""


class UnknownApi(NotFound):
    """There is no API of this id."""

    def __init__(self) -> None:
        super().__init__("no such API")


class Conflict(RuntimeError):
    """It cannot be done as things stand."""


class InvalidInput(ValueError):
    """What was sent is not what it should be."""


class NoTarget(InvalidInput):
    """Neither the upload nor the document says which API it describes."""
