"""Documents of any version, as the comparison of learned documents (rebuild/versions.py) reads them."""

from __future__ import annotations

from collections.abc import Iterator

from server.analysis.json import Json, JsonObject, array_in, object_in
from server.analysis.specs.dialects.openapi import METHODS
from server.analysis.specs.dialects.upgrade import openapi
from server.analysis.specs.document.pointers import Pointers, under


def written_out(document: JsonObject) -> JsonObject:
    """As OpenAPI 3: parameters, bodies and responses stand at their operations, without references; the
    parameters of a path stand at each of its operations, and default security does. Schemas stay as they are.
    Raises SpecError for broken references.
    """
    if "swagger" in document:
        document = openapi(document)
    return _Writer(document).document()


class _Writer:
    def __init__(self, document: JsonObject) -> None:
        self._document = document
        self._pointers = Pointers(document)

    def document(self) -> JsonObject:
        paths = object_in(self._document, "paths")
        return {**self._document, "paths": {path: self._item(path, paths[path]) for path in paths}}

    def _item(self, path: str, node: Json) -> JsonObject:
        place, item = self._pointers.resolved(under("/paths", path), node)
        shared = dict(self._parameters(place, item))
        return {
            method: self._operation(under(place, method), object_in(item, method), shared)
            for method in METHODS
            if method in item
        }

    def _operation(
        self, place: str, operation: JsonObject, shared: dict[tuple[str, str], Json]
    ) -> JsonObject:
        parameters = shared | dict(self._parameters(place, operation))
        written: JsonObject = {"security": self._document.get("security", []), **operation}
        written["parameters"] = [*parameters.values()]
        if "requestBody" in operation:
            at = under(place, "requestBody")
            written["requestBody"] = self._pointers.resolved(at, operation["requestBody"])[1]
        answers, at = object_in(operation, "responses"), under(place, "responses")
        written["responses"] = {
            status: self._pointers.resolved(under(at, status), answers[status])[1]
            for status in answers
            if not status.startswith("x-")
        }
        return written

    def _parameters(self, place: str, node: JsonObject) -> Iterator[tuple[tuple[str, str], Json]]:
        """((in, name), parameter) of a path or an operation; one of an operation replaces its path's."""
        for index, one in enumerate(array_in(node, "parameters")):
            _, found = self._pointers.resolved(under(place, "parameters", index), one)
            yield (str(found.get("in")), str(found.get("name"))), found
