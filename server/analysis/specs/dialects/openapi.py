"""Reads a document's operations as facts, with resolved references and checked types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from server.analysis.json import Json, JsonObject, object_in, text_in, texts_in
from server.analysis.specs.dialects import kubernetes
from server.analysis.specs.document.checks import flag, mapping, sequence, text
from server.analysis.specs.document.media import FORM, essence, is_json
from server.analysis.specs.document.pointers import Pointers, under
from server.analysis.specs.document.servers import base_paths
from server.analysis.specs.kinds import Where
from server.analysis.specs.model import (
    Alternatives,
    Content,
    Encoding,
    Operation,
    Parameter,
    Scheme,
    SpecError,
)

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
PLACES = {"path": Where.PATH, "query": Where.QUERY, "header": Where.HEADER, "cookie": Where.COOKIE}
QUERYSTRING = "querystring"  # a parameter that is the whole query (OpenAPI 3.2)
_STYLES = {Where.QUERY: "form", Where.COOKIE: "form"} | dict.fromkeys(
    (Where.PATH, Where.HEADER, Where.RESPONSE_HEADER), "simple"
)
_HEADERS = (Where.HEADER, Where.RESPONSE_HEADER)
MULTI_SEGMENT = "x-multi-segment"  # GitHub's extension for a parameter that may contain slashes
NamedParameters = dict[tuple[str, Where], Parameter]
_NOT_PARAMETERS = frozenset({"accept", "content-type", "authorization"})  # OpenAPI 3.1, 4.8.12.2


@dataclass(frozen=True, slots=True)
class PathItem:
    """A path's item, which applies to all its operations."""

    path: str
    place: str
    node: JsonObject
    parameters: NamedParameters
    bases: tuple[str, ...]


_ENDS_SPANNING = re.compile(r"/\{[^{}/]*path\}$", re.IGNORECASE)
"""Templates whose last parameter takes all that follows (routing/routes.py)."""


def _continued(path: str, spanning: frozenset[str]) -> frozenset[str]:
    """The parameters of a template that end a shorter one there, and span segments in both: of
    `/files/{path}/versions` the path, beside `/files/{path}`.
    """
    if not spanning:
        return spanning
    ends = [found.end() for found in re.finditer(r"\}(?=/)", path)]
    shorter = [path[:end] for end in ends if path[:end] in spanning]
    return frozenset(one.rpartition("{")[2].rstrip("}") for one in shorter)


class OperationsReader:
    """Reads operations out of one document."""

    schemes_at = "/components/securitySchemes"

    def __init__(self, document: JsonObject, pointers: Pointers) -> None:
        self._document = document
        self._pointers = pointers
        self._schemes: dict[str, Scheme] = {}
        self._shared_parameters: dict[str, Parameter] = {}
        self._shared_answers: dict[str, Content] = {}

    def operations(self) -> Iterator[tuple[Operation, tuple[str, ...]]]:
        """Each operation with its base paths. Raises SpecError."""
        root = self.bases()
        paths = mapping(self._document.get("paths", {}), "/paths")
        spanning = frozenset(filter(_ENDS_SPANNING.search, paths))
        for path, item in paths.items():
            if path.startswith("x-"):
                continue
            place = under("/paths", path)
            if not path.startswith("/"):
                raise SpecError(place, "a path does not begin with /")
            place, node = self._pointers.resolved(place, item)
            common = self._parameters(node, place)
            described = PathItem(path, place, node, common, base_paths(node, place, root))
            found = [
                self._operation(described, method, mapping(operation, at), at)
                for method, at, operation in self._methods(node, place)
            ]
            spans = frozenset(one.name for operation, _ in found for one in operation.parameters if one.spans)
            spans |= _continued(path, spanning)
            for operation, bases_of_it in found:
                yield replace(operation, spans=spans) if spans else operation, bases_of_it

    def bases(self) -> tuple[str, ...]:
        """The base paths of the whole document."""
        return base_paths(self._document, "")

    def _methods(self, item: JsonObject, place: str) -> Iterator[tuple[str, str, Json]]:
        """(method, place, operation)."""
        for method in METHODS:
            if method in item:
                yield method, under(place, method), item[method]
        if str(self._document.get("openapi", "")).startswith("3.2"):
            if "query" in item:
                yield "query", under(place, "query"), item["query"]
            at = under(place, "additionalOperations")
            for method, node in mapping(item.get("additionalOperations", {}), at).items():
                yield method, under(at, method), node

    def _operation(
        self, item: PathItem, method: str, node: JsonObject, place: str
    ) -> tuple[Operation, tuple[str, ...]]:
        bases = base_paths(node, place, item.bases)
        base = bases[0] if len(bases) == 1 else ""
        operation = Operation(
            key=f"{method.upper()} {base}{item.path}",
            method=method.upper(),
            template=item.path,
            operation_id=text_in(node, "operationId"),
            deprecated=flag(node, "deprecated", place) or kubernetes.is_deprecated(node),
            parameters=tuple((item.parameters | self._parameters(node, place)).values()),
            body=self._body(node, place, item),
            responses=self._responses(node, place),
            security=self._security(node, place),
            tags=tuple(texts_in(node, "tags")),
        )
        return operation, bases

    def _entries(self, node: JsonObject, place: str) -> Iterator[tuple[str, JsonObject]]:
        """(place, parameter), resolved."""
        place = under(place, "parameters")
        for i, entry in enumerate(sequence(node.get("parameters", []), place)):
            yield self._pointers.resolved(under(place, i), entry)

    def _parameters(self, node: JsonObject, place: str) -> NamedParameters:
        found: NamedParameters = {}
        for at, entry in self._entries(node, place):
            parameter = self._shared_parameters.get(at)
            if parameter is None:
                parameter = self._shared_parameters[at] = self._parameter(entry, at)
            if parameter.where is not Where.HEADER or parameter.name not in _NOT_PARAMETERS:
                found[parameter.name, parameter.where] = parameter
        return found

    def _parameter(self, node: JsonObject, place: str) -> Parameter:
        name, said = text(node, "name", place), text(node, "in", place)
        where = Where.QUERY if said == QUERYSTRING else PLACES.get(said)
        if where is None:
            raise SpecError(under(place, "in"), "not one of path, query, header, cookie")
        return self._described(node, place, name, where, said == QUERYSTRING)

    def _described(
        self, node: JsonObject, place: str, name: str, where: Where, whole: bool = False
    ) -> Parameter:
        style = QUERYSTRING if whole else node.get("style", _STYLES[where])
        if not isinstance(style, str):
            raise SpecError(under(place, "style"), "not a string")
        json, schema = self._parameter_schema(node, place, whole)
        return Parameter(
            name=name.lower() if where in _HEADERS else name,
            where=where,
            required=flag(node, "required", place),
            style=style,
            explode=flag(node, "explode", place, style in ("form", "cookie")),
            allow_empty=flag(node, "allowEmptyValue", place),
            json=json,
            schema=schema,
            spans=spans(node),
        )

    def _parameter_schema(self, node: JsonObject, place: str, whole: bool) -> tuple[bool, str | None]:
        """(whether the value is JSON, its schema); a value of an unsupported content type is not
        validated.
        """
        if "schema" in node:
            return False, under(place, "schema")
        content = self._content(node, place).media
        if whole and FORM in content:
            return False, content[FORM]
        json = next((kind for kind in content if is_json(kind)), None)
        return json is not None, content[json] if json else None

    def _body(self, node: JsonObject, place: str, item: PathItem) -> Content | None:
        """The body of a request; in Swagger 2.0 the path item may describe it."""
        if "requestBody" not in node:
            return None
        place, body = self._pointers.resolved(under(place, "requestBody"), node["requestBody"])
        return replace(self._content(body, place), required=flag(body, "required", place))

    def _responses(self, node: JsonObject, place: str) -> dict[str, Content]:
        found: dict[str, Content] = {}
        owner, place = place, under(place, "responses")
        for status, entry in mapping(node.get("responses", {}), place).items():
            if status.startswith("x-"):
                continue
            at, response = self._pointers.resolved(under(place, status), entry)
            if status != "default" and not _is_status(status):
                raise SpecError(under(place, status), "not a status code, a range such as 2XX, or default")
            name = status if status == "default" else status.upper()
            found[name] = self._answer(response, at, node, owner)
        return found

    def _answer(self, response: JsonObject, place: str, node: JsonObject, owner: str) -> Content:
        """The response of one status; `node` at `owner` is the operation."""
        found = self._shared_answers.get(place)
        if found is None:
            found = replace(self._content(response, place), headers=self._headers(response, place))
            self._shared_answers[place] = found
        return found

    def _headers(self, response: JsonObject, place: str) -> tuple[Parameter, ...]:
        found: list[Parameter] = []
        place = under(place, "headers")
        for name, entry in mapping(response.get("headers", {}), place).items():
            at, header = self._pointers.resolved(under(place, name), entry)
            if name.lower() != "content-type":  # OpenAPI 3.1, 4.8.17
                found.append(self._header(name, header, at))
        return tuple(found)

    def _header(self, name: str, node: JsonObject, place: str) -> Parameter:
        return self._described(node, place, name, Where.RESPONSE_HEADER)

    def _content(self, node: JsonObject, place: str) -> Content:
        media: dict[str, str | None] = {}
        items: dict[str, str] = {}
        event_data: dict[str, str] = {}
        encoding: dict[str, dict[str, Encoding]] = {}
        place = under(place, "content")
        content = mapping(node.get("content", {}), place)
        for said, entry in content.items():
            kind = essence(said)
            at, described = self._pointers.resolved(under(place, said), entry)
            media[kind] = under(at, "schema") if "schema" in described else None
            if "itemSchema" in described:
                items[kind] = under(at, "itemSchema")
                data = self._event_data(items[kind], described["itemSchema"])
                if data is not None:
                    event_data[kind] = data
            if "encoding" in described:
                encoding[kind] = _encoding(described["encoding"], under(at, "encoding"))
        switch = kubernetes.stream_switch(content)
        return Content(media, encoding=encoding, items=items, event_data=event_data, stream_switch=switch)

    def _event_data(self, place: str, item: Json) -> str | None:
        """The schema of the JSON in an event's data (OpenAPI 3.2.0, "Special Considerations for Server-Sent
        Events"); None if there is none.
        """
        place, item = self._pointers.resolve(place, item)
        data = object_in(object_in(item, "properties"), "data") if isinstance(item, dict) else {}
        place, data = self._pointers.resolved(under(place, "properties", "data"), data)
        return under(place, "contentSchema") if "contentSchema" in data else None

    def _security(self, node: JsonObject, place: str) -> Alternatives:
        owner, place = (node, place) if "security" in node else (self._document, "")
        place = under(place, "security")
        alternatives: list[tuple[Scheme, ...]] = []
        for i, entry in enumerate(sequence(owner.get("security", []), place)):
            at = under(place, i)
            alternatives.append(tuple(self._scheme(name, under(at, name)) for name in mapping(entry, at)))
        return tuple(alternatives)

    def _scheme(self, name: str, named_by: str) -> Scheme:
        if name not in self._schemes:
            known = self._document
            for token in self.schemes_at.split("/")[1:]:
                known = object_in(known, token)
            if name not in known:
                raise SpecError(named_by, f"a security scheme that {self.schemes_at} does not describe")
            place, node = self._pointers.resolved(under(self.schemes_at, name), known[name])
            self._schemes[name] = self._read_scheme(node, place)
        return self._schemes[name]

    def _read_scheme(self, node: JsonObject, place: str) -> Scheme:
        kind = text(node, "type", place)
        if kind == "apiKey":
            where = PLACES.get(text(node, "in", place))
            if where is None or where is Where.PATH:
                raise SpecError(under(place, "in"), "not one of query, header, cookie")
            name = text(node, "name", place)
            return Scheme(kind, where, name.lower() if where is Where.HEADER else name)
        if kind == "http":
            return Scheme(kind, scheme=text(node, "scheme", place).lower())
        if kind in ("oauth2", "openIdConnect", "mutualTLS"):
            return Scheme(kind)
        raise SpecError(under(place, "type"), "not one of apiKey, http, oauth2, openIdConnect, mutualTLS")


def spans(parameter: JsonObject) -> bool:
    """Whether a parameter may contain unescaped slashes."""
    return parameter.get("in") == "path" and parameter.get(MULTI_SEGMENT) is True


def _encoding(node: Json, place: str) -> dict[str, Encoding]:
    """How the fields of a form are sent (OpenAPI 3.1, 4.8.15)."""
    found: dict[str, Encoding] = {}
    for name, entry in mapping(node, place).items():
        at = under(place, name)
        said = mapping(entry, at)
        explode = flag(said, "explode", at, said.get("style") in (None, "form"))
        found[name] = Encoding(text_in(said, "style"), explode, text_in(said, "contentType"))
    return found


def _is_status(status: str) -> bool:
    return (
        len(status) == 3 and status[0] in "12345" and (status[1:].isdecimal() or status[1:].upper() == "XX")
    )
