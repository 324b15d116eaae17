"""Changes of Swagger 2.0 documents, in which a body is a parameter and parameters have no schema."""

from __future__ import annotations

import re

from server.analysis.json import Json, JsonObject, array_in
from server.analysis.specs.amending.patches import add, remove, replace
from server.analysis.specs.amending.site import Site
from server.analysis.specs.amending.words import Changes
from server.analysis.specs.document.pointers import Pointers
from server.analysis.specs.kinds import Where

_ADDED = re.compile(
    r"(/parameters/[0-9]+|/parameters/[^/]+|/headers/[^/]+)/schema"
)  # by `dialects/modern.py`


class SwaggerWords:
    """`pointers` are those of the document as uploaded."""

    def __init__(self, pointers: Pointers) -> None:
        self._pointers = pointers
        self.text: JsonObject = {"type": "string"}
        self.anything: JsonObject = {"type": "string"}
        self.takes_type_lists = False
        self.null: str | None = "x-nullable"

    def body(self, site: Site) -> Changes:
        described: JsonObject = {"name": "body", "in": "body", "schema": {}}
        return (site.with_parameter(described),)

    def content_type(self, site: Site, where: str) -> Changes:
        keyword = "consumes" if where == Where.REQUEST_BODY else "produces"
        owner = site.node if keyword in site.node else site.pointers.document
        known: list[Json] = [*array_in(owner, keyword), site.sample.media_type(where) or "*/*"]
        return (add(site.place, keyword, known),)

    def optional_body(self, site: Site) -> Changes:
        return next(
            (
                (replace(place, "required", False),)
                for place, node in site.parameters()
                if node.get("in") == "body" and node.get("required")
            ),
            (),
        )

    def no_response_body(self, site: Site) -> Changes:
        place, response = site.response()
        return (remove(place, "schema"),) if "schema" in response else ()

    def place(self, place: str) -> str:
        """The place of a parameter's own keywords, which reading moves below a schema."""
        return _ADDED.sub(self._own, place)

    def _own(self, found: re.Match[str]) -> str:
        owner = found.string[: found.end(1)]
        node = self._pointers.at(owner, owner)
        return found[1] if isinstance(node, dict) and "schema" not in node else found[0]
