"""Changes of OpenAPI 3 documents."""

from __future__ import annotations

from server.analysis.json import JsonObject
from server.analysis.specs.amending.patches import add, remove
from server.analysis.specs.amending.site import Site
from server.analysis.specs.amending.words import Changes
from server.analysis.specs.document.pointers import under
from server.analysis.specs.kinds import Where


class OpenApiWords:
    """`is_30`: null is a keyword of its own, and `type` one name."""

    def __init__(self, is_30: bool) -> None:
        self.text: JsonObject = {"schema": {"type": "string"}}
        self.anything: JsonObject = {"schema": {}}
        self.takes_type_lists = not is_30
        self.null = "nullable" if is_30 else None

    def body(self, site: Site) -> Changes:
        kind = site.sample.media_type(Where.REQUEST_BODY) or "*/*"
        return (add(site.place, "requestBody", {"content": {kind: {}}}),)

    def content_type(self, site: Site, where: str) -> Changes:
        place, _ = site.request_body() if where == Where.REQUEST_BODY else site.response()
        return (add(under(place, "content"), site.sample.media_type(where) or "*/*", {}),)

    def optional_body(self, site: Site) -> Changes:
        place, _ = site.request_body()
        return (remove(place, "required"),)

    def no_response_body(self, site: Site) -> Changes:
        place, response = site.response()
        return (remove(place, "content"),) if "content" in response else ()

    def place(self, place: str) -> str:
        return place
