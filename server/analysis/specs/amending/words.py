"""How a dialect says what a proposal changes. Each has its own module: `openapi` and `swagger`."""

from __future__ import annotations

from typing import Protocol

from server.analysis.json import JsonObject
from server.analysis.specs.amending.patches import Change
from server.analysis.specs.amending.site import Site

Changes = tuple[Change, ...]


class Words(Protocol):
    """One dialect's words. An empty tuple says that it has none for it."""

    text: JsonObject
    """A parameter's or a header's value that is a text."""
    anything: JsonObject
    """One of which nothing is known."""
    takes_type_lists: bool
    """Whether `type` may be a list."""
    null: str | None
    """The keyword beside `type` that allows null; None where null is a type."""

    def body(self, site: Site) -> Changes:
        """An operation takes a body."""
        ...

    def content_type(self, site: Site, where: str) -> Changes:
        """The sample's media type is one of a body's."""
        ...

    def optional_body(self, site: Site) -> Changes:
        """A request need not have a body."""
        ...

    def no_response_body(self, site: Site) -> Changes:
        """Nothing is said of an answer's body."""
        ...

    def place(self, place: str) -> str:
        """Where the document says what reading found at `place`."""
        ...
