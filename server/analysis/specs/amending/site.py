"""The place of one operation in its document."""

from __future__ import annotations

from collections.abc import Iterator

from server.analysis.json import JsonObject, array_in, object_in
from server.analysis.specs.amending.patches import Change, add
from server.analysis.specs.amending.sample import Sample
from server.analysis.specs.document.checks import mapping
from server.analysis.specs.document.pointers import Pointers, under
from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Content, Operation


class Site:
    """`node` at `place` describes the operation, `item` at `item_place` its path. Raises SpecError."""

    def __init__(self, pointers: Pointers, operation: Operation, sample: Sample) -> None:
        self.pointers, self.operation, self.sample = pointers, operation, sample
        self.item_place, self.item = item_of(pointers, operation.template)
        name = next((name for name in self.item if name.lower() == operation.method.lower()), None)
        if name is None:
            self.place = under(self.item_place, "additionalOperations", operation.method)
        else:
            self.place = under(self.item_place, name)
        self.node = mapping(pointers.at(self.place, self.place), self.place)

    def request_body(self) -> tuple[str, JsonObject]:
        """(place, node) of an OpenAPI 3 operation's body."""
        return self.pointers.resolved(under(self.place, "requestBody"), self.node.get("requestBody"))

    def response(self) -> tuple[str, JsonObject]:
        """(place, node) of the response with the sample's status; of the first one without a sample."""
        answer = self._answer()
        name = answer[0] if answer else next(iter(self.operation.responses), "default")
        responses = object_in(self.node, "responses")
        said = next((one for one in responses if one.upper() == name.upper()), name)
        return self.pointers.resolved(under(self.place, "responses", said), responses.get(said))

    def parameters(self) -> Iterator[tuple[str, JsonObject]]:
        """(place, node) of the operation's own parameters, then of the path's."""
        for owner, place in ((self.node, self.place), (self.item, self.item_place)):
            for i, entry in enumerate(array_in(owner, "parameters")):
                yield self.pointers.resolved(under(place, "parameters", i), entry)

    def with_parameter(self, described: JsonObject) -> Change:
        """The change that adds a parameter to the operation."""
        if "parameters" in self.node:
            return add(under(self.place, "parameters"), "-", described)
        return add(self.place, "parameters", [described])

    def schemas(self, where: str, name: str) -> list[str]:
        """Places of the schemas by which a value was validated; `name` is a parameter's or a header's."""
        if where == Where.REQUEST_BODY:
            return _schemas(self.operation.body)
        answer = self._answer()
        contents = [answer[1]] if answer else [*self.operation.responses.values()]
        if where == Where.RESPONSE_BODY:
            return [place for content in contents for place in _schemas(content)]
        described = (
            [header for content in contents for header in content.headers]
            if where == Where.RESPONSE_HEADER
            else self.operation.parameters
        )
        return [one.schema for one in described if one.name == name and one.where == where and one.schema]

    def _answer(self) -> tuple[str, Content] | None:
        status = self.sample.status
        return None if status is None else self.operation.answer(status)


def item_of(pointers: Pointers, template: str) -> tuple[str, JsonObject]:
    """(place, node) of the path's item. Raises SpecError."""
    place = under("/paths", template)
    return pointers.resolved(place, pointers.at(place, place))


def _schemas(content: Content | None) -> list[str]:
    return [place for place in (content.media.values() if content else ()) if place is not None]
