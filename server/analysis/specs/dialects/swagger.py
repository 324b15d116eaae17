"""Swagger 2.0: its document in words that the rest understands, and its operations as the same facts.

Places stay those of the document: only words inside schemas change, a parameter's own words about its
value come to stand under `schema` beside them, and the fields of a form under `formData`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from server.analysis.specs.dialects.openapi import METHODS, PLACES, Reader, spans
from server.analysis.specs.document.checks import flag, mapping, sequence, text
from server.analysis.specs.document.media import FORM, MULTIPART, essence
from server.analysis.specs.document.pointers import under
from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Content, Encoding, Parameter, Scheme, SpecError
from server.analysis.specs.schemas.keywords import Json

_OF_PARAMETERS = frozenset({"name", "in", "required", "description", "allowEmptyValue", "collectionFormat"})
_STYLES = {
    "csv": ("form", False),
    "ssv": ("spaceDelimited", False),
    "tsv": ("tabDelimited", False),
    "pipes": ("pipeDelimited", False),
    "multi": ("form", True),
}


def modern(document: Json, definitions: Any) -> Json:
    """The document with its schemas, and these definitions, in the words of OpenAPI 3.0. What is malformed
    stays as it is.
    """
    parameters = _each(document.get("parameters"), _parameter)
    changed = {
        "definitions": _each(definitions, _schema),
        "parameters": parameters,
        "responses": _each(document.get("responses"), _response),
    }
    paths = document.get("paths")
    if isinstance(paths, dict):
        changed["paths"] = {
            path: _item(item, under("/paths", path), parameters) for path, item in paths.items()
        }
    return {**document, **{name: value for name, value in changed.items() if name in document}}


def _each(named: Any, change: Any) -> Any:
    return {name: change(node) for name, node in named.items()} if isinstance(named, dict) else named


def _schema(node: Any) -> Any:
    if not isinstance(node, dict) or "$ref" in node:  # what stands beside $ref is ignored
        return node
    changed = dict(node)
    for keyword in ("items", "additionalProperties"):
        if keyword in node:
            changed[keyword] = _schema(node[keyword])
    if "properties" in node:
        changed["properties"] = _each(node["properties"], _schema)
    if isinstance(node.get("allOf"), list):
        changed["allOf"] = [_schema(part) for part in node["allOf"]]
    if isinstance(node.get("discriminator"), str):
        changed["discriminator"] = {"propertyName": node["discriminator"]}
    if node.get("x-nullable") is True:
        changed["nullable"] = True
    if node.get("type") == "file":
        changed |= {"type": "string", "format": "binary"}
    return changed


def _parameter(node: Any) -> Any:
    if not isinstance(node, dict) or "$ref" in node:
        return node
    if node.get("in") == "body":
        return {**node, "schema": _schema(node["schema"])} if "schema" in node else node
    said = {name: value for name, value in node.items() if name not in _OF_PARAMETERS}
    return {**node, "schema": _schema(said)}


def _response(node: Any) -> Any:
    if not isinstance(node, dict) or "$ref" in node:
        return node
    changed = dict(node)
    if "schema" in node:
        changed["schema"] = _schema(node["schema"])
    if "headers" in node:
        changed["headers"] = _each(node["headers"], _parameter)
    return changed


def _item(item: Any, place: str, shared: Any) -> Any:
    if not isinstance(item, dict):
        return item
    changed = {**item, **_parameters(item)}
    for method in METHODS:
        operation = item.get(method)
        if not isinstance(operation, dict):
            continue
        new = {**operation, **_parameters(operation)}
        if "responses" in operation:
            new["responses"] = _each(operation["responses"], _response)
        fields = _fields(changed, place, shared) | _fields(new, under(place, method), shared)
        if fields:
            new["formData"] = _form(fields)
        changed[method] = new
    return changed


def _parameters(node: Json) -> Json:
    found = node.get("parameters")
    return {"parameters": [_parameter(one) for one in found]} if isinstance(found, list) else {}


def _fields(node: Json, place: str, shared: Any) -> dict[str, tuple[str, Json]]:
    """The parameters of a form: name → (place, parameter)."""
    found: dict[str, tuple[str, Json]] = {}
    for i, parameter in enumerate(node.get("parameters", ())):
        at = under(place, "parameters", i)
        reference = parameter.get("$ref") if isinstance(parameter, dict) else None
        if isinstance(reference, str) and reference.startswith("#/parameters/"):
            at = reference[1:]
            name = reference.removeprefix("#/parameters/")
            parameter = shared.get(name) if isinstance(shared, dict) else None
        if isinstance(parameter, dict) and parameter.get("in") == "formData":
            found[str(parameter.get("name"))] = at, parameter
    return found


def _form(fields: dict[str, tuple[str, Json]]) -> Json:
    return {
        "type": "object",
        "properties": {name: {"$ref": "#" + quote(under(at, "schema"))} for name, (at, _) in fields.items()},
        "required": [name for name, (_, node) in fields.items() if node.get("required") is True],
    }


class SwaggerReader(Reader):
    """Reads operations out of a document that `modern` prepared."""

    schemes_at = "/securityDefinitions"

    def bases(self) -> tuple[str, ...]:
        return (base_of_swagger(self._document),)

    def _entries(self, node: Json, place: str) -> Iterator[tuple[str, Json]]:
        """(place, parameter), resolved."""
        place = under(place, "parameters")
        for i, entry in enumerate(sequence(node.get("parameters", []), place)):
            at, entry = self._pointers.resolve(under(place, i), entry)
            yield at, mapping(entry, at)

    def _parameters(self, node: Json, place: str) -> dict[tuple[str, Where], Parameter]:
        found: dict[tuple[str, Where], Parameter] = {}
        for at, entry in self._entries(node, place):
            if text(entry, "in", at) not in ("body", "formData"):
                parameter = self._parameter(entry, at)
                found[parameter.name, parameter.where] = parameter
        return found

    def _parameter(self, node: Json, place: str) -> Parameter:
        name, where = text(node, "name", place), PLACES.get(text(node, "in", place))
        if where not in (Where.PATH, Where.QUERY, Where.HEADER):
            raise SpecError(under(place, "in"), "not one of path, query, header, formData, body")
        return self._valued(node, place, name, where)

    def _valued(self, node: Json, place: str, name: str, where: Where) -> Parameter:
        style, explode = array_style(node, place)
        if where in (Where.PATH, Where.HEADER, Where.RESPONSE_HEADER) and style == "form":
            style, explode = "simple", False
        return Parameter(
            name=name.lower() if where in (Where.HEADER, Where.RESPONSE_HEADER) else name,
            where=where,
            required=flag(node, "required", place),
            style=style,
            explode=explode,
            allow_empty=flag(node, "allowEmptyValue", place),
            json=False,
            schema=under(place, "schema"),
            spans=spans(node),
        )

    def _body(self, node: Json, place: str, item: Json, item_place: str) -> Content | None:
        entries = [*self._entries(item, item_place), *self._entries(node, place)]
        kinds = self._kinds(node, place, "consumes")
        for at, entry in reversed(entries):
            if entry["in"] == "body":
                schema = under(at, "schema") if "schema" in entry else None
                return Content(dict.fromkeys(kinds or ["*/*"], schema), flag(entry, "required", at))
        fields = [(at, entry) for at, entry in entries if entry["in"] == "formData"]
        return self._form(fields, place, kinds) if fields else None

    def _form(self, fields: list[tuple[str, Json]], place: str, kinds: list[str]) -> Content:
        forms = [kind for kind in kinds if kind in (MULTIPART, FORM)] or [MULTIPART, FORM]
        encoding = {
            entry["name"]: Encoding(*array_style(entry, at)) for at, entry in fields if "name" in entry
        }
        return Content(
            media=dict.fromkeys(forms, under(place, "formData")),
            required=any(entry.get("required") is True for _, entry in fields),
            encoding=dict.fromkeys(forms, encoding),
        )

    def _answer(self, response: Json, place: str, node: Json, owner: str) -> Content:
        """Without a schema nothing is said of the body."""
        kinds = self._kinds(node, owner, "produces")
        schema = under(place, "schema")
        return Content(
            media=dict.fromkeys(kinds or ["*/*"], schema) if "schema" in response else {},
            headers=self._headers(response, place),
            streams=any("stream=" in kind for kind in self._said(node, owner, "produces")),
        )

    def _header(self, name: str, node: Json, place: str) -> Parameter:
        return self._valued(node, place, name, Where.RESPONSE_HEADER)

    def _kinds(self, node: Json, place: str, keyword: str) -> list[str]:
        return [essence(kind) for kind in self._said(node, place, keyword)]

    def _said(self, node: Json, place: str, keyword: str) -> list[str]:
        owner, at = (node, under(place, keyword)) if keyword in node else (self._document, "/" + keyword)
        kinds = sequence(owner.get(keyword, []), at)
        for i, kind in enumerate(kinds):
            if not isinstance(kind, str):
                raise SpecError(under(at, i), "not a string")
        return kinds

    def _read_scheme(self, node: Json, place: str) -> Scheme:
        if node.get("type") == "basic":
            return Scheme("http", scheme="basic")
        return super()._read_scheme(node, place)


def base_of_swagger(document: Json) -> str:
    """The path that stands before all others, without a slash at its end. Raises SpecError."""
    base = document.get("basePath") or ""
    if not isinstance(base, str):
        raise SpecError("/basePath", "not a string")
    base = base.rstrip("/")
    return base if base.startswith("/") or not base else "/" + base


def array_style(node: Json, place: str) -> tuple[str, bool]:
    """How the items of an array are sent: (style, explode), tabs as `tabDelimited`. Raises SpecError."""
    said = node.get("collectionFormat", "csv")
    if said not in _STYLES:
        raise SpecError(under(place, "collectionFormat"), "not one of csv, ssv, tsv, pipes, multi")
    return _STYLES[said]
