"""An existing specification comes first: it stays as it is, and what traffic showed besides is added.

Swagger 2.0 and OpenAPI 3.0 are written anew as 3.1, since what is added speaks 3.1. Nothing that is added is
required: who wrote the document did not ask for it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

from server.analysis.rebuild.document import OPENAPI
from server.analysis.specs.dialects.openapi import METHODS, spans
from server.analysis.specs.dialects.swagger import base_of_swagger
from server.analysis.specs.dialects.upgrade import openapi
from server.analysis.specs.document.servers import base_paths

Json = dict[str, Any]

MOST_STEPS = 64  # of references followed, and of levels descended

_MAPS = frozenset(
    {"properties", "patternProperties", "schemas", "parameters", "responses", "requestBodies", "headers"}
    | {"content", "encoding", "callbacks", "pathItems"}
)
_BESIDE = frozenset(("$ref", "description", "summary"))
_OPAQUE = frozenset(("example", "examples", "default", "enum", "const", "mapping"))


def templates_of(document: Json, base: str | None = None) -> dict[str, frozenset[str]]:
    """The paths a document describes, with its base path or another, and the names of their parameters that
    hold slashes. Raises SpecError.
    """
    paths = document.get("paths")
    if not isinstance(paths, dict):
        return {}
    if base is None:
        base = base_of_swagger(document) if "swagger" in document else _base(document)
    return {
        base.rstrip("/") + path: frozenset(_spanning(document, item))
        for path, item in paths.items()
        if isinstance(path, str) and path.startswith("/")
    }


def _spanning(document: Json, item: Any) -> Iterator[str]:
    """Names of a path's parameters that are said to hold slashes, by any of its methods."""
    item = _resolved(document, item)
    for node in (item, *(item.get(method) for method in METHODS)):
        listed = node.get("parameters") if isinstance(node, dict) else None
        for one in listed if isinstance(listed, list) else ():
            parameter = _resolved(document, one)
            if spans(parameter) and isinstance(parameter.get("name"), str):
                yield parameter["name"]


def extended(existing: Json, learnt: Json) -> Json:
    """The existing document and what a document made of traffic says besides. Raises SpecError."""
    return _Extension(upgraded(existing), learnt).made()


def _base(document: Json) -> str:
    return base_paths(document, "")[0].rstrip("/")


def upgraded(document: Json) -> Json:
    """A document as OpenAPI 3.1 (the changes of 3.1.0's release notes). Raises SpecError."""
    found: Json = copy.deepcopy(openapi(document) if "swagger" in document else document)
    if not str(found.get("openapi", "")).startswith("3.0"):
        return found
    found["openapi"] = OPENAPI
    for node in [*_schemas(found.get("paths"), True), *_schemas(found.get("components"))]:
        _upgrade(node)
    return found


def _schemas(root: Any, is_map: bool = False) -> Iterator[Json]:
    """Every object that says something; `is_map`: the root holds some by names of the document's own."""
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


def _upgrade(node: Json) -> None:
    if isinstance(node.get("$ref"), str):  # 3.0 ignores what stands beside it, 3.1 does not
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


def _take_null(node: Json) -> None:
    if isinstance(node.get("enum"), list) and None not in node["enum"]:
        node["enum"].append(None)
    if isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
    if node.keys() & {"allOf", "oneOf", "anyOf", "not"}:
        whole = dict(node)
        node.clear()
        node["anyOf"] = [{"type": "null"}, whole]


class _Extension:
    def __init__(self, document: Json, learnt: Json) -> None:
        self._document = document
        self._learnt = learnt
        self._base = _base(document)
        self._parts: Json = document.get("components") or {}
        self._done: set[tuple[int, int]] = set()
        self._names: dict[str, str] = {}
        self._ids = {
            operation.get("operationId")
            for item in (document.get("paths") or {}).values()
            for operation in item.values()
            if isinstance(operation, dict)
        }

    def made(self) -> Json:
        self._take_components()
        paths = self._document.setdefault("paths", {})
        for path, item in self._learnt["paths"].items():
            known, servers = self._known(path)
            mine = self._resolved(paths.setdefault(known, servers))
            for method, operation in item.items():
                if method in METHODS:
                    self._operation(mine, method, operation)
        return self._document

    def _known(self, path: str) -> tuple[str, Json]:
        """Where a path belongs in the document, and what a new item there says first."""
        if path.startswith(self._base + "/"):
            return path[len(self._base) :], {}
        return path, {"servers": [{"url": "/"}]}

    def _take_components(self) -> None:
        """Puts what was learnt beside what is there, under names that are free."""
        for kind, parts in (self._learnt.get("components") or {}).items():
            mine = self._parts.setdefault(kind, {})
            for name in parts:
                free, number = name, 2
                while free in mine and mine[free] != parts[name]:
                    free, number = f"{name}{number}", number + 1
                self._names[f"#/components/{kind}/{name}"] = free
                mine[free] = parts[name]
        learnt = self._learnt.get("components")
        for node in [*_schemas(self._learnt["paths"], True), *_schemas(learnt)]:
            self._rename(node)
        if self._parts:
            self._document["components"] = self._parts

    def _rename(self, node: Json) -> None:
        if isinstance(node.get("$ref"), str) and node["$ref"] in self._names:
            node["$ref"] = f"{node['$ref'].rpartition('/')[0]}/{self._names[node['$ref']]}"

    def _operation(self, item: Json, method: str, learnt: Json) -> None:
        if method not in item:
            if learnt.get("operationId") in self._ids:
                learnt = {key: value for key, value in learnt.items() if key != "operationId"}
            item[method] = learnt
            return
        mine = item[method]
        self._parameters(item, mine, learnt.get("parameters", []))
        if "requestBody" in learnt:
            if "requestBody" not in mine:
                mine["requestBody"] = {k: v for k, v in learnt["requestBody"].items() if k != "required"}
            else:
                self._content(self._resolved(mine["requestBody"]), learnt["requestBody"])
        answers = mine.setdefault("responses", {})
        for status, answer in learnt["responses"].items():
            known = next((one for one in (status, f"{status[0]}XX", "default") if one in answers), None)
            if known is None:
                answers[status] = answer
            else:
                self._content(self._resolved(answers[known]), answer)

    def _parameters(self, item: Json, mine: Json, learnt: Sequence[Json]) -> None:
        said = map(self._resolved, [*item.get("parameters", ()), *mine.get("parameters", ())])
        known = {(one.get("in"), str(one.get("name")).lower()): one for one in said}
        for parameter in learnt:
            described = known.get((parameter["in"], parameter["name"].lower()))
            if described is not None:
                self._schema(described.get("schema", {}), parameter["schema"], 0)
            elif parameter["in"] != "path":
                optional = {key: value for key, value in parameter.items() if key != "required"}
                mine.setdefault("parameters", []).append(optional)

    def _content(self, mine: Json, learnt: Json) -> None:
        """Bodies by type; a described answer without any body stays without."""
        if not mine.get("content"):
            return
        for kind, media in learnt.get("content", {}).items():
            ranges = (kind, kind.partition("/")[0] + "/*", "*/*")
            known = next((one for one in ranges if one in mine["content"]), None)
            if known is None:
                mine["content"][kind] = media
            elif "schema" in media and "schema" in mine["content"][known]:
                self._schema(mine["content"][known]["schema"], media["schema"], 0)

    def _schema(self, mine: Any, learnt: Any, depth: int) -> None:
        """Adds fields that a schema does not name."""
        mine, learnt = self._resolved(mine), self._resolved(learnt)
        if depth > MOST_STEPS or (id(mine), id(learnt)) in self._done:
            return
        self._done.add((id(mine), id(learnt)))
        parts = list(self._parts_of(mine, 0))
        named: Json = {}
        for part in parts:
            for name, said in (part.get("properties") or {}).items():
                named.setdefault(name, said)
        open_ = not named or any(isinstance(part.get("additionalProperties"), dict) for part in parts)
        for name, said in (learnt.get("properties") or {}).items():
            if name in named:
                self._schema(named[name], said, depth + 1)
            elif not open_:
                parts[0].setdefault("properties", {})[name] = said
        if "items" in learnt:
            for part in parts:
                if "items" in part:
                    self._schema(part["items"], learnt["items"], depth + 1)
        for branch in learnt.get("oneOf", learnt.get("anyOf", ())):
            self._schema(mine, branch, depth + 1)

    def _parts_of(self, node: Json, depth: int) -> Iterator[Json]:
        """A schema and those it is put together of."""
        yield node
        if depth < MOST_STEPS:
            for keyword in ("allOf", "oneOf", "anyOf"):
                for part in node.get(keyword) or ():
                    yield from self._parts_of(self._resolved(part), depth + 1)

    def _resolved(self, node: Any) -> Json:
        return _resolved(self._document, node)


def _resolved(document: Json, node: Any) -> Json:
    """What a local reference leads to; a reference elsewhere leads nowhere."""
    for _ in range(MOST_STEPS):
        if not isinstance(node, dict):
            return {}
        target = node.get("$ref")
        if not isinstance(target, str):
            return node
        if not target.startswith("#/"):
            return {}
        node = document
        for step in target[2:].split("/"):
            node = node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return {}
