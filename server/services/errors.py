"""Why a use case failed: sentences without capital and period, without captured values.

They are translated once: by api/errors.py for programs, by ui/door.py for people.
"""

from __future__ import annotations

from server.store.errors import KeyCollision, StoreUnavailable

__all__ = [
    "Conflict",
    "InvalidInput",
    "KeyCollision",
    "NoTarget",
    "NotFound",
    "StoreUnavailable",
    "UnknownApi",
]


class NotFound(LookupError):
    """The requested object does not exist, or no longer."""


class UnknownApi(NotFound):
    """There is no API with this id."""

    def __init__(self) -> None:
        super().__init__("no such API")


class Conflict(RuntimeError):
    """The current state does not allow it."""


class InvalidInput(ValueError):
    """The input is invalid."""


class NoTarget(InvalidInput):
    """Neither the upload nor the document names the API it describes."""
