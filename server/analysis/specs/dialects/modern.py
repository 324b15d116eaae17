"""Converts a Swagger 2.0 document for the other modules: OpenAPI 3.0's keywords inside schemas.

Places stay those of the document: a parameter's keywords about its value are also written below `schema`, and
the fields of a form below `formData`. Malformed parts stay unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from server.analysis.json import Json, JsonObject, array_in, object_in, text_in
from server.analysis.specs.dialects.openapi import METHODS
from server.analysis.specs.document.pointers import under

_OF_PARAMETERS = frozenset({"name", "in", "required", "description", "allowEmptyValue", "collectionFormat"})
_SHARED = "#/parameters/"
_Fields = dict[str, tuple[str, JsonObject]]
"""The parameters of a form: name → (place, parameter)."""


def modern(document: JsonObject, definitions: Json) -> JsonObject:
    """The document with its schemas, and these definitions, in OpenAPI 3.0's keywords."""
    parameters = _each(document.get("parameters"), _parameter)
    changed: JsonObject = {
        "definitions": _each(definitions, _schema),
        "parameters": parameters,
        "responses": _each(document.get("responses"), _response),
        "paths": document.get("paths"),
    }
    if isinstance(document.get("paths"), dict):
        shared = parameters if isinstance(parameters, dict) else {}
        changed["paths"] = {
            path: _item(item, under("/paths", path), shared)
            for path, item in object_in(document, "paths").items()
        }
    return {**document, **{name: value for name, value in changed.items() if name in document}}


def _each(named: Json, change: Callable[[Json], Json]) -> Json:
    return {name: change(node) for name, node in named.items()} if isinstance(named, dict) else named


def _schema(node: Json) -> Json:
    if not isinstance(node, dict) or "$ref" in node:  # siblings of $ref are ignored
        return node
    changed = dict(node)
    for keyword in ("items", "additionalProperties"):
        if keyword in node:
            changed[keyword] = _schema(node[keyword])
    if "properties" in node:
        changed["properties"] = _each(node["properties"], _schema)
    if isinstance(node.get("allOf"), list):
        changed["allOf"] = [_schema(part) for part in array_in(node, "allOf")]
    return changed | _converted(node)


def _converted(node: JsonObject) -> JsonObject:
    """OpenAPI's keywords for a schema's Swagger-only ones."""
    said: JsonObject = {}
    if isinstance(node.get("discriminator"), str):
        said["discriminator"] = {"propertyName": node["discriminator"]}
    if node.get("x-nullable") is True:
        said["nullable"] = True
    if node.get("type") == "file":
        said |= {"type": "string", "format": "binary"}
    return said


def _parameter(node: Json) -> Json:
    if not isinstance(node, dict) or "$ref" in node:
        return node
    if node.get("in") == "body":
        return {**node, "schema": _schema(node["schema"])} if "schema" in node else node
    said: Json = {name: value for name, value in node.items() if name not in _OF_PARAMETERS}
    return {**node, "schema": _schema(said)}


def _response(node: Json) -> Json:
    if not isinstance(node, dict) or "$ref" in node:
        return node
    changed = dict(node)
    if "schema" in node:
        changed["schema"] = _schema(node["schema"])
    if "headers" in node:
        changed["headers"] = _each(node["headers"], _parameter)
    return changed


def _item(item: Json, place: str, shared: JsonObject) -> Json:
    if not isinstance(item, dict):
        return item
    changed = {**item, **_parameters(item)}
    common = _fields(changed, place, shared)
    for method in METHODS:
        operation = item.get(method)
        if isinstance(operation, dict):
            changed[method] = _operation(operation, under(place, method), shared, common)
    return changed


def _operation(operation: JsonObject, place: str, shared: JsonObject, common: _Fields) -> JsonObject:
    changed = {**operation, **_parameters(operation)}
    if "responses" in operation:
        changed["responses"] = _each(operation["responses"], _response)
    fields = common | _fields(changed, place, shared)
    if fields:
        changed["formData"] = _form(fields)
    return changed


def _parameters(node: JsonObject) -> JsonObject:
    found = node.get("parameters")
    return {"parameters": [_parameter(one) for one in found]} if isinstance(found, list) else {}


def _fields(node: JsonObject, place: str, shared: JsonObject) -> _Fields:
    """The form parameters described here; `shared` are the document's by name."""
    found: _Fields = {}
    for i, parameter in enumerate(array_in(node, "parameters")):
        at = under(place, "parameters", i)
        reference = text_in(parameter, "$ref") if isinstance(parameter, dict) else None
        if reference is not None and reference.startswith(_SHARED):
            at = reference[1:]
            parameter = shared.get(reference.removeprefix(_SHARED))
        if isinstance(parameter, dict) and parameter.get("in") == "formData":
            found[str(parameter.get("name"))] = at, parameter
    return found


def _form(fields: _Fields) -> JsonObject:
    return {
        "type": "object",
        "properties": {name: {"$ref": "#" + quote(under(at, "schema"))} for name, (at, _) in fields.items()},
        "required": [name for name, (_, node) in fields.items() if node.get("required") is True],
    }
