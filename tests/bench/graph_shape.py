"""A document of the size and shape of Microsoft Graph's, which cannot be kept here: 47 MB of YAML.

Its shape is what makes it hard: some thousands of types that extend one `entity`, whose discriminator names
each of them, and refer to one another by navigation properties, so that every schema reaches all others;
paths that follow these properties, each operation with a description, paging parameters and shared responses.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench import files_traffic as har

MB = 1_000_000
HOST = "graph.example.com"
_BYTES_OF_A_TYPE = 18_700  # of YAML: its schema, its operations, and its share of the collections
_ROOT = "microsoft.graph."
_TEXT = """
access account action activity agent alert app approval asset assignment audit backup batch calendar
case certificate channel chat class cloud comment compliance condition configuration connection
connector contact content contract country custom data definition deployment detail device directory
document domain driver drive education email endpoint enrollment entitlement event export extension
external file filter folder group health history identity import incident insight instance
invitation item job key label language license link list location log machine mailbox management
member message method mobile model network note notification object office operation organization
package page partner password payload permission person phone photo place plan platform policy
position post presence print privilege process product profile program property provider
provisioning publication query recipient record reference region registration relation report
request resource response result review risk role room rule schedule schema scope search section
security sensitivity server service session setting share shift sign site source space state status
store subject subscription summary sync tag target task team template term test text theme thread
threat ticket tier time token tool topic training transaction trust type update usage user value
vendor version virtual vulnerability window windows work workbook worksheet zone
"""
_WORDS = _TEXT.split()
_FORMATS: tuple[dict[str, Any], ...] = (
    {"type": "string"},
    {"type": "string"},
    {"type": "boolean"},
    {"type": "string", "format": "date-time"},
    {"type": "number", "format": "int32", "maximum": 2147483647, "minimum": -2147483648},
    {"type": "array", "items": {"type": "string", "nullable": True}},
)
_PATTERN = r"^[0-9]{4,}-(0[1-9]|1[012])-(0[1-9]|[12][0-9]|3[01])T.*$"


def graph_shaped(size: int = 47 * MB, seed: int = 1) -> dict[str, Any]:
    """An OpenAPI 3.0 document of about `size` bytes as YAML."""
    return _Graph(max(8, size // _BYTES_OF_A_TYPE), random.Random(seed)).document()


def write(folder: Path, size: int = 47 * MB, calls: int = 1_000) -> None:
    """The document as `graph.yaml` and `graph.json` in a folder, and HAR of calls to it, and of none."""
    document = graph_shaped(size)
    (folder / "graph.yaml").write_text("".join(_yaml(document, 0)))
    (folder / "graph.json").write_text(json.dumps(document, indent=1))
    har.write(folder / "calls.har", har.calls_of(document, HOST, calls))
    har.write(folder / "none.har", iter(()))


class _Graph:
    def __init__(self, count: int, rng: random.Random) -> None:
        self._rng = rng
        names: dict[str, None] = {}
        while len(names) < count:
            first, *others = rng.sample(_WORDS, rng.choice((1, 2, 2, 3, 3)))
            names[first + "".join(map(str.title, others))] = None
        self._types = [*names]
        self._base = {name: self._base_of(at) for at, name in enumerate(self._types)}
        self._links = {name: rng.sample(self._types, 2) for name in self._types}

    def _base_of(self, at: int) -> str:
        """Two thirds extend `entity` directly, the others a type before them."""
        return "entity" if at < 8 or at % 3 else self._rng.choice(self._types[: at // 2])

    def document(self) -> dict[str, Any]:
        return {
            "openapi": "3.0.4",
            "info": {"title": "Graph-shaped", "description": self._prose(12), "version": "beta"},
            "servers": [{"url": f"https://{HOST}/beta/", "description": "Core"}],
            "paths": dict(self._paths()),
            "components": {
                "schemas": dict(self._schemas()),
                "responses": dict(self._responses()),
                "parameters": dict(_paging()),
            },
        }

    def _prose(self, words: int) -> str:
        return " ".join(self._rng.choices(_WORDS, k=words)).capitalize() + "."

    # Schemas

    def _schemas(self) -> Iterator[tuple[str, Any]]:
        direct: dict[str, list[str]] = {}
        for name, base in self._base.items():
            direct.setdefault(base, []).append(name)
        yield _ROOT + "entity", {"title": "entity", **self._own("entity", self._types)}
        for name, base in self._base.items():
            own = {"title": name, **self._own(name, direct.get(name, []))}
            yield _ROOT + name, {"allOf": [_schema(base), own]}
        yield (
            "microsoft.graph.ODataErrors.ODataError",
            {
                "required": ["error"],
                "type": "object",
                "properties": {"error": {"type": "object", "properties": {"code": {"type": "string"}}}},
                "additionalProperties": {"type": "object"},
            },
        )
        yield (
            "BaseCollectionPaginationCountResponse",
            {
                "title": "Base collection pagination and count responses",
                "type": "object",
                "properties": {
                    "@odata.count": {"type": "integer", "format": "int64", "nullable": True},
                    "@odata.nextLink": {"type": "string", "nullable": True},
                },
            },
        )

    def _own(self, name: str, heirs: list[str]) -> dict[str, Any]:
        """The part of a type's schema that describes its own fields."""
        said: dict[str, Any] = {"required": ["@odata.type"], "type": "object"}
        fields: dict[str, Any] = {"id": {"type": "string", "description": "The unique identifier."}}
        if name != "entity":
            fields = dict(self._values()) | dict(self._navigation(name))
        said["properties"] = fields | {"@odata.type": {"type": "string"}}
        if heirs:
            mapping = {f"#{_ROOT}{heir}": _schema(heir)["$ref"] for heir in heirs}
            said["discriminator"] = {"propertyName": "@odata.type", "mapping": mapping}
        return said

    def _values(self) -> Iterator[tuple[str, Any]]:
        for _ in range(self._rng.randint(4, 12)):
            value = dict(self._rng.choice(_FORMATS))
            if value.get("format") == "date-time":
                value["pattern"] = _PATTERN
            yield self._field(), {**value, "description": self._prose(14), "nullable": True}

    def _field(self) -> str:
        first, second = self._rng.sample(_WORDS, 2)
        return first + second.title()

    def _navigation(self, name: str) -> Iterator[tuple[str, Any]]:
        one, many = self._links[name]
        shared = {"description": self._prose(10), "x-ms-navigationProperty": True}
        yield one, {"anyOf": [_schema(one), {"type": "object", "nullable": True}], **shared}
        yield f"{many}s", {"type": "array", "items": _schema(many), **shared}

    def _responses(self) -> Iterator[tuple[str, Any]]:
        problem = _schema("ODataErrors.ODataError")
        yield "error", {"description": "error", "content": _json(problem)}
        for name in self._types:
            page = {
                "title": f"Collection of {name}",
                "type": "object",
                "allOf": [
                    {"$ref": "#/components/schemas/BaseCollectionPaginationCountResponse"},
                    {"type": "object", "properties": {"value": {"type": "array", "items": _schema(name)}}},
                ],
            }
            yield (
                f"{_ROOT}{name}CollectionResponse",
                {
                    "description": "Retrieved collection",
                    "content": _json(page),
                },
            )

    # Paths

    def _paths(self) -> Iterator[tuple[str, Any]]:
        for name in self._types:
            one, many = self._links[name]
            items = f"/{name}s"
            yield items, self._collection(name, name, [])
            item = f"{items}/{{{name}-id}}"
            yield item, self._item(name, [name])
            yield f"{item}/{one}", {"get": self._operation("Get", one, name, _entity(one)), **_keys([name])}
            yield f"{item}/{many}s", self._collection(many, name, [name])
            yield f"{item}/{many}s/{{{many}-id1}}", self._item(many, [name, f"{many}-id1"])

    def _collection(self, name: str, within: str, keys: list[str]) -> dict[str, Any]:
        page = {"$ref": f"#/components/responses/{_ROOT}{name}CollectionResponse"}
        listed = self._operation("List", name, within, page)
        listed["parameters"] = [
            *({"$ref": f"#/components/parameters/{paging}"} for paging, _ in _paging()),
            *(_selection(option) for option in ("$orderby", "$select", "$expand")),
        ]
        listed["x-ms-pageable"] = {"nextLinkName": "@odata.nextLink", "operationName": "listMore"}
        created = self._operation("Create", name, within, _entity(name), name)
        return {"description": self._prose(8), "get": listed, "post": created, **_keys(keys)}

    def _item(self, name: str, keys: list[str]) -> dict[str, Any]:
        got = self._operation("Get", name, keys[0], _entity(name))
        got["parameters"] = [_selection("$select"), _selection("$expand")]
        deleted = self._operation("Delete", name, keys[0], {"description": "Success"})
        deleted["parameters"] = [
            {"name": "If-Match", "in": "header", "description": "ETag", "schema": {"type": "string"}}
        ]
        return {
            "description": self._prose(8),
            "get": got,
            "patch": self._operation("Update", name, keys[0], _entity(name), name),
            "delete": deleted,
            **_keys(keys),
        }

    def _operation(
        self, verb: str, name: str, within: str, answer: dict[str, Any], sent: str | None = None
    ) -> dict[str, Any]:
        error = {"$ref": "#/components/responses/error"}
        body = (
            {"description": "New values", "content": _json(_schema(sent)), "required": True} if sent else {}
        )
        return {
            "tags": [f"{within}.{name}"],
            "summary": f"{verb} {name}",
            "description": self._prose(16),
            "externalDocs": {
                "description": "Find more info here",
                "url": f"https://docs.example.com/graph/api/{name}-{verb.lower()}?view=graph-rest-beta",
            },
            "operationId": f"{within}.{verb}{name.title()}{self._rng.randrange(10**6)}",
            **({"requestBody": body} if body else {}),
            "responses": {"2XX": answer, "4XX": error, "5XX": error},
            "x-ms-docs-operation-type": "operation",
        }


def _schema(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{_ROOT}{name}"}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _entity(name: str) -> dict[str, Any]:
    return {"description": "Retrieved entity", "content": _json(_schema(name))}


def _keys(names: list[str]) -> dict[str, Any]:
    """The parameters of a path: each names an entity."""
    found = [
        {
            "name": name if "-id" in name else f"{name}-id",
            "in": "path",
            "description": f"The unique identifier of {name}",
            "required": True,
            "schema": {"type": "string"},
            "x-ms-docs-key-type": name,
        }
        for name in names
    ]
    return {"parameters": found} if found else {}


def _selection(option: str) -> dict[str, Any]:
    items = {"uniqueItems": True, "type": "array", "items": {"type": "string"}}
    shared = {"description": "Select properties", "style": "form", "explode": False}
    return {"name": option, "in": "query", **shared, "schema": items}


def _paging() -> Iterator[tuple[str, Any]]:
    for name, kind in (("top", "integer"), ("skip", "integer"), ("search", "string"), ("count", "boolean")):
        shared = {"name": f"${name}", "in": "query", "description": f"{name.title()} items"}
        yield name, {**shared, "style": "form", "explode": False, "schema": {"type": kind}}


# YAML as Graph's writer prints it

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./ ,()-]*")
_NOT_TEXT = re.compile(r"true|false|null|yes|no|on|off|y|n", re.IGNORECASE)


def _yaml(node: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{indent}{_scalar(key)}:"
            yield from _value(value, depth + 1)
    else:
        for item in node:
            yield f"{indent}-"
            if isinstance(item, dict) and item:
                first, *others = _yaml(item, depth + 1)
                yield " " + first.lstrip(" ")
                yield from others
            else:
                yield from _value(item, depth + 1)


def _value(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, (dict, list)) and value:
        yield "\n"
        yield from _yaml(value, depth)
    elif isinstance(value, (dict, list)):
        yield " { }\n" if isinstance(value, dict) else " [ ]\n"
    else:
        yield f" {_scalar(value)}\n"


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and not value.endswith(" ") and not _NOT_TEXT.fullmatch(value):
        return value
    return "'" + value.replace("'", "''") + "'"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
