"""The interface for writing changes in a dialect; its modules are `openapi` and `swagger`."""

from __future__ import annotations

from typing import Protocol

from server.analysis.json import JsonObject
from server.analysis.specs.amending.patches import Change
from server.analysis.specs.amending.site import Site

Changes = tuple[Change, ...]


class Words(Protocol):
    """Writes changes in one dialect. An empty tuple: the dialect cannot express it."""

    text: JsonObject
    """The schema of a parameter or header that is a text."""
    anything: JsonObject
    """The schema of an unknown value."""
    takes_type_lists: bool
    """Whether `type` may be a list."""
    null: str | None
    """The keyword beside `type` that allows null; None if null is a type."""

    def body(self, site: Site) -> Changes:
        """Adds a body to an operation."""
        ...

    def content_type(self, site: Site, where: str) -> Changes:
        """Adds the sample's media type to a body."""
        ...

    def optional_body(self, site: Site) -> Changes:
        """Makes a request's body optional."""
        ...

    def no_response_body(self, site: Site) -> Changes:
        """Removes the description of a response's body."""
        ...

    def place(self, place: str) -> str:
        """Where the uploaded document has what reading found at `place`."""
        ...
