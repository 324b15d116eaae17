"""Converts a Swagger 2.0 or OpenAPI 3.0 document to OpenAPI 3.1, the version of learned parts."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from server.analysis.json import Json, JsonObject, object_in
from server.analysis.specs.dialects.upgrade import openapi

OPENAPI = "3.1.1"
OPENAPI_WITH_SEQUENCES = "3.2.0"

_MAPS = frozenset(
    {"properties", "patternProperties", "schemas", "parameters", "responses", "requestBodies", "headers"}
    | {"content", "encoding", "callbacks", "pathItems"}
)
_BESIDE = frozenset(("$ref", "description", "summary"))
_OPAQUE = frozenset(("example", "examples", "default", "enum", "const", "mapping"))


def modernized(document: JsonObject) -> JsonObject:
    """A copy as OpenAPI 3.1 (the changes of 3.1.0's release notes). Raises SpecError."""
    found = copy.deepcopy(openapi(document) if "swagger" in document else document)
    if not str(found.get("openapi", "")).startswith("3.0"):
        return found
    found["openapi"] = OPENAPI
    for node in [*objects_in(found.get("paths"), True), *objects_in(found.get("components"))]:
        _modernize(node)
    return found


def with_sequences(document: JsonObject) -> JsonObject:
    """A learned document as OpenAPI 3.2: items of sequences, so far part of the evidence, are described."""
    found = copy.deepcopy(document)
    found["openapi"] = OPENAPI_WITH_SEQUENCES
    for node in objects_in(found.get("paths"), True):
        items = object_in(node, "x-spectap").pop("itemSchema", None)
        if items is not None:
            node.pop("schema", None)
            node["itemSchema"] = items
    return found


def objects_in(root: Json, is_map: bool = False) -> Iterator[JsonObject]:
    """Every object with keywords; `is_map`: the root's keys are names and not keywords."""
    stack = [(root, is_map)]
    while stack:
        one, is_map = stack.pop()
        if isinstance(one, list):
            stack += [(value, False) for value in one]
        elif isinstance(one, dict) and is_map:
            stack += [(value, False) for value in one.values()]
        elif isinstance(one, dict):
            yield one
            stack += [
                (value, key in _MAPS)
                for key, value in one.items()
                if key not in _OPAQUE and not str(key).startswith("x-")
            ]


def _modernize(node: JsonObject) -> None:
    if isinstance(node.get("$ref"), str):  # 3.0 ignores its siblings, 3.1 does not
        for key in [key for key in node if key not in _BESIDE and not str(key).startswith("x-")]:
            del node[key]
        return
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if node.get(exclusive) is True and bound in node:
            node[exclusive] = node.pop(bound)
        elif isinstance(node.get(exclusive), bool):
            del node[exclusive]
    if isinstance(node.get("nullable"), bool) and node.pop("nullable"):
        _take_null(node)


def _take_null(node: JsonObject) -> None:
    texts = node.get("enum")
    if isinstance(texts, list) and None not in texts:
        texts.append(None)
    if isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
    if node.keys() & {"allOf", "oneOf", "anyOf", "not"}:
        whole = dict(node)
        node.clear()
        node["anyOf"] = [{"type": "null"}, whole]
