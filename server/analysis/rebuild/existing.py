"""Extends an existing specification: it stays unchanged, and what else traffic showed is added.

Nothing added is required: the document's author did not require it.
"""

from __future__ import annotations

from collections.abc import Iterator

from server.analysis.json import Json, JsonObject, array_in, object_in
from server.analysis.rebuild.given_paths import base_of
from server.analysis.rebuild.modernized import modernized, objects_in
from server.analysis.rebuild.references import resolved
from server.analysis.specs.dialects.openapi import METHODS

DEEPEST = 64  # compared levels of a schema


def extended(existing: JsonObject, learnt: JsonObject) -> JsonObject:
    """The existing document, extended by a learned one. Raises SpecError."""
    return _Extension(modernized(existing), learnt).made()


class _Extension:
    def __init__(self, document: JsonObject, learnt: JsonObject) -> None:
        self._document = document
        self._learnt = learnt
        self._base = base_of(document)
        self._done: set[tuple[int, int]] = set()
        paths = object_in(document, "paths")
        items = (object_in(paths, path) for path in paths)
        self._ids = [object_in(item, method).get("operationId") for item in items for method in item]

    def made(self) -> JsonObject:
        if str(self._learnt["openapi"]).startswith("3.2") and str(self._document["openapi"]).startswith(
            "3.1"
        ):
            self._document["openapi"] = self._learnt["openapi"]
        _take_components(self._document, self._learnt)
        paths = _object_at(self._document, "paths")
        learnt = object_in(self._learnt, "paths")
        for path in learnt:
            known, fresh = self._known(path)
            mine = self._resolved(paths.setdefault(known, fresh))
            item = object_in(learnt, path)
            for method in item:
                if method in METHODS:
                    self._operation(mine, method, object_in(item, method))
        return self._document

    def _known(self, path: str) -> tuple[str, JsonObject]:
        """The item of a path in the document, and the start of a new one."""
        if path.startswith(self._base + "/"):
            return path[len(self._base) :], {}
        return path, {"servers": [{"url": "/"}]}

    def _operation(self, item: JsonObject, method: str, learnt: JsonObject) -> None:
        if method not in item:
            if learnt.get("operationId") in self._ids:
                learnt = {key: value for key, value in learnt.items() if key != "operationId"}
            item[method] = learnt
            return
        mine = object_in(item, method)
        self._parameters(item, mine, array_in(learnt, "parameters"))
        if "requestBody" in learnt:
            self._request_body(mine, object_in(learnt, "requestBody"))
        self._answers(_object_at(mine, "responses"), object_in(learnt, "responses"))

    def _request_body(self, mine: JsonObject, learnt: JsonObject) -> None:
        if "requestBody" in mine:
            self._content(self._resolved(mine["requestBody"]), learnt)
        else:
            mine["requestBody"] = {key: value for key, value in learnt.items() if key != "required"}

    def _answers(self, mine: JsonObject, learnt: JsonObject) -> None:
        for status, answer in learnt.items():
            known = next((one for one in (status, f"{status[0]}XX", "default") if one in mine), None)
            if known is None:
                mine[status] = answer
            else:
                self._content(self._resolved(mine[known]), object_in(learnt, status))

    def _parameters(self, item: JsonObject, mine: JsonObject, learnt: list[Json]) -> None:
        said = map(self._resolved, [*array_in(item, "parameters"), *array_in(mine, "parameters")])
        known = {(one.get("in"), str(one.get("name")).lower()): one for one in said}
        for one in learnt:
            parameter = self._resolved(one)
            described = known.get((parameter["in"], str(parameter["name"]).lower()))
            if described is not None:
                self._schema(described.get("schema"), parameter["schema"], 0)
            elif parameter["in"] != "path":
                optional: Json = {key: value for key, value in parameter.items() if key != "required"}
                _array_at(mine, "parameters").append(optional)

    def _content(self, mine: JsonObject, learnt: JsonObject) -> None:
        """Adds bodies by type; a response described without a body stays without."""
        described = object_in(mine, "content")
        if not described:
            return
        for kind, media in object_in(learnt, "content").items():
            ranges = (kind, kind.partition("/")[0] + "/*", "*/*")
            known = next((one for one in ranges if one in described), None)
            if known is None:
                described[kind] = media
            elif isinstance(media, dict) and "schema" in media and "schema" in object_in(described, known):
                self._schema(object_in(described, known)["schema"], media["schema"], 0)

    def _schema(self, some: Json, others: Json, depth: int) -> None:
        """Adds fields that the schema does not describe."""
        mine, learnt = self._resolved(some), self._resolved(others)
        if depth > DEEPEST or (id(mine), id(learnt)) in self._done:
            return
        self._done.add((id(mine), id(learnt)))
        parts = list(self._parts_of(mine, 0))
        self._fields(parts, object_in(learnt, "properties"), depth)
        if "items" in learnt:
            for part in parts:
                if "items" in part:
                    self._schema(part["items"], learnt["items"], depth + 1)
        for branch in array_in(learnt, "oneOf") or array_in(learnt, "anyOf"):
            self._schema(mine, branch, depth + 1)

    def _fields(self, parts: list[JsonObject], learnt: JsonObject, depth: int) -> None:
        named: JsonObject = {}
        for part in parts:
            named = {**object_in(part, "properties"), **named}
        is_open = not named or any(isinstance(part.get("additionalProperties"), dict) for part in parts)
        for name, said in learnt.items():
            if name in named:
                self._schema(named[name], said, depth + 1)
            elif not is_open:
                _object_at(parts[0], "properties")[name] = said

    def _parts_of(self, node: JsonObject, depth: int) -> Iterator[JsonObject]:
        """A schema and the schemas it is composed of."""
        yield node
        if depth < DEEPEST:
            for keyword in ("allOf", "oneOf", "anyOf"):
                for part in array_in(node, keyword):
                    yield from self._parts_of(self._resolved(part), depth + 1)

    def _resolved(self, node: Json) -> JsonObject:
        return resolved(self._document, node)


def _take_components(document: JsonObject, learnt: JsonObject) -> None:
    """Adds the learned components to the existing ones, under free names."""
    mine, more = object_in(document, "components"), object_in(learnt, "components")
    names: dict[str, str] = {}
    for kind in more:
        described, parts = _object_at(mine, kind), object_in(more, kind)
        for name, part in parts.items():
            free = _free_name(name, part, described)
            names[f"#/components/{kind}/{name}"] = free
            described[free] = part
    for node in [*objects_in(learnt.get("paths"), True), *objects_in(learnt.get("components"))]:
        target = node.get("$ref")
        if isinstance(target, str) and target in names:
            node["$ref"] = f"{target.rpartition('/')[0]}/{names[target]}"
    if mine:
        document["components"] = mine


def _free_name(name: str, part: Json, known: JsonObject) -> str:
    free, number = name, 2
    while free in known and known[free] != part:
        free, number = f"{name}{number}", number + 1
    return free


def _object_at(node: JsonObject, key: str) -> JsonObject:
    """The object at `key`, created if there is none."""
    value = node.get(key)
    if not isinstance(value, dict):
        value = node[key] = {}
    return value


def _array_at(node: JsonObject, key: str) -> list[Json]:
    """The array at `key`, created if there is none."""
    value = node.get(key)
    if not isinstance(value, list):
        value = node[key] = []
    return value
