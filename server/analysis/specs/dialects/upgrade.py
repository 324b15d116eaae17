"""A Swagger 2.0 document → the same in OpenAPI 3.0's places: bodies, content types, components, servers.

Schemas come from `swagger.modern` in the words of 3.0 already. What has no place in OpenAPI is said as near
to it as can be: an array separated by tabs is a string, examples of a type that is not produced `x-examples`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from server.analysis.specs.dialects.openapi import METHODS
from server.analysis.specs.dialects.swagger import array_style, base_of_swagger, modern
from server.analysis.specs.document.media import FORM, MULTIPART
from server.analysis.specs.document.pointers import MAX_HOPS, Pointers, under
from server.analysis.specs.schemas.fields import component_name, inheritance
from server.analysis.specs.schemas.keywords import Json

OPENAPI = "3.0.4"

_UNSAFE = re.compile(r"[^a-zA-Z0-9._-]")
_KINDS = {"definitions": "schemas", "parameters": "parameters", "responses": "responses"}
_OF_DOCUMENT = ("info", "tags", "externalDocs")
_OF_OPERATION = ("tags", "summary", "description", "externalDocs", "operationId", "deprecated")
_STYLES = {"query": {"form", "spaceDelimited", "pipeDelimited"}, "path": {"simple"}, "header": {"simple"}}
_FLOWS = {
    "implicit": ("implicit", ("authorizationUrl",)),
    "password": ("password", ("tokenUrl",)),
    "application": ("clientCredentials", ("tokenUrl",)),
    "accessCode": ("authorizationCode", ("authorizationUrl", "tokenUrl")),
}
_OPAQUE = frozenset(("example", "default", "enum"))


def openapi(document: Json) -> Json:
    """The document of a specification that loads, as OpenAPI 3.0. Raises SpecError on broken references."""
    return _Upgrade(document).made()


class _Upgrade:
    def __init__(self, document: Json) -> None:
        self._document = modern(document, document.get("definitions"))
        self._pointers = Pointers(self._document)
        self._names = {kind: _safe(self._named(kind)) for kind in (*_KINDS, "securityDefinitions")}
        self._schemas: Json = {}
        self._others: dict[str, str] = {}  # schemas that are referred to where they stand, by place

    def made(self) -> Json:
        found: Json = {"openapi": OPENAPI, **_kept(self._document, _OF_DOCUMENT)}
        found["info"] = {**found["info"], "version": str(found["info"].get("version", ""))}
        found["servers"] = self._servers(self._document.get("schemes") or ())
        if "security" in self._document:
            found["security"] = self._security(self._document["security"])
        found["paths"] = {
            path: item if path.startswith("x-") else self._item(under("/paths", path), item)
            for path, item in self._named("paths").items()
        }
        found["components"] = self._components()
        return found

    def _named(self, kind: str) -> Json:
        named = self._document.get(kind)
        return named if isinstance(named, dict) else {}

    def _servers(self, schemes: Iterable[str]) -> list[Json]:
        base = base_of_swagger(self._document) or "/"
        host = self._document.get("host")
        if not isinstance(host, str):
            return [{"url": base}]
        urls = [f"{scheme}://{host}{base}".rstrip("/") for scheme in schemes]
        return [{"url": url} for url in urls or [f"//{host}{base}".rstrip("/")]]

    def _components(self) -> Json:
        parts = {
            "parameters": {
                self._names["parameters"][name]: self._parameter(node)
                for name, node in self._named("parameters").items()
                if isinstance(node, dict) and node.get("in") not in ("body", "formData")
            },
            "responses": {
                self._names["responses"][name]: self._response(node, self._produced({}))
                for name, node in self._named("responses").items()
            },
            "securitySchemes": {
                self._names["securityDefinitions"][name]: _scheme(node)
                for name, node in self._named("securityDefinitions").items()
            },
        }
        for name, node in self._named("definitions").items():
            self._schemas[self._names["definitions"][name]] = self._schema(node)
        self._keep_values()
        parts = {"schemas": self._schemas, **parts}
        return {kind: part for kind, part in parts.items() if part}

    def _keep_values(self) -> None:
        """Maps the values of discriminators: they were names of definitions, some of which have changed."""
        names = self._names["definitions"]
        for base, heirs in inheritance(self._document, self._pointers).items():
            called = [component_name(heir) for heir in heirs]
            changed = {name: names[name] for name in called if names.get(name, name) != name}
            token = self._token(base, "definitions")
            if changed and token is not None:
                mapping = {name: f"#/components/schemas/{new}" for name, new in changed.items()}
                self._schemas[token]["discriminator"]["mapping"] = mapping

    def _item(self, place: str, item: Any) -> Json:
        _, item = self._pointers.resolve(place, item)
        shared = [*self._entries(item)]
        found = _kept(item, ())
        parameters = self._sent(item)
        if parameters:
            found["parameters"] = parameters
        for method in METHODS:
            if isinstance(item.get(method), dict):
                found[method] = self._operation(item[method], shared)
        return found

    def _operation(self, node: Json, shared: list[Json]) -> Json:
        found = _kept(node, _OF_OPERATION)
        parameters = self._sent(node)
        if parameters:
            found["parameters"] = parameters
        body = self._body([*shared, *self._entries(node)], self._said(node, "consumes"))
        if body:
            found["requestBody"] = body
        found["responses"] = {
            status: answer if status.startswith("x-") else self._answer(answer, node)
            for status, answer in (node.get("responses") or {}).items()
        }
        if "security" in node:
            found["security"] = self._security(node["security"])
        if node.get("schemes") and isinstance(self._document.get("host"), str):
            found["servers"] = self._servers(node["schemes"])
        return found

    def _entries(self, node: Json) -> Iterator[Json]:
        """The parameters of a path or an operation, resolved."""
        for entry in node.get("parameters") or ():
            yield self._pointers.resolve("", entry)[1]

    def _sent(self, node: Json) -> list[Json]:
        """Those of them that are parameters in OpenAPI, too; shared ones by reference."""
        found: list[Json] = []
        for entry, parameter in zip(node.get("parameters") or (), self._entries(node), strict=True):
            if parameter.get("in") not in ("body", "formData"):
                found.append(self._shared(entry, "parameters") or self._parameter(parameter))
        return found

    def _shared(self, entry: Json, kind: str) -> Json | None:
        """A reference to what is shared, in its new words."""
        if "$ref" not in entry:
            return None
        token = self._token(self._pointers.target(entry["$ref"], "/$ref"), kind)
        return None if token is None else {"$ref": f"#/components/{_KINDS[kind]}/{token}"}

    def _token(self, place: str, kind: str) -> str | None:
        """The new name of a place that is one of a kind's."""
        home, _, name = place[1:].partition("/")
        return self._names[kind].get(name.replace("~1", "/").replace("~0", "~")) if home == kind else None

    def _parameter(self, node: Json) -> Json:
        where = str(node.get("in"))
        found = {"name": node.get("name"), "in": where, **_kept(node, ("description", "required"))}
        if where == "path":
            found["required"] = True
        if where == "query" and node.get("allowEmptyValue") is True:
            found["allowEmptyValue"] = True
        return found | self._value(node, where)

    def _value(self, node: Json, where: str) -> Json:
        """`schema`, and the style of an array."""
        schema = self._schema(_plain(node.get("schema", {})))
        if schema.get("type") != "array":
            return {"schema": schema}
        name, explode = array_style(node, "")
        if where != "query" and name == "form":
            name, explode = "simple", False
        if name not in _STYLES[where]:
            return {"schema": {"type": "string"}, "x-collectionFormat": node.get("collectionFormat")}
        return {"style": name, "explode": explode, "schema": schema}

    def _body(self, entries: list[Json], kinds: list[str]) -> Json | None:
        """What one operation takes; the operation's own body stands after the path's."""
        for entry in reversed(entries):
            if entry.get("in") == "body":
                media = {"schema": self._schema(entry["schema"])} if "schema" in entry else {}
                said = _kept(entry, ("description", "required"))
                return {**said, "content": dict.fromkeys(kinds or ["*/*"], media)}
        fields = {entry["name"]: entry for entry in entries if entry.get("in") == "formData"}
        return self._form(fields, kinds) if fields else None

    def _form(self, fields: Json, kinds: list[str]) -> Json:
        required = [name for name, node in fields.items() if node.get("required") is True]
        properties = {name: self._field(node) for name, node in fields.items()}
        schema: Json = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        media: Json = {"schema": schema}
        styles = {name: array_style(node, "") for name, node in fields.items() if node.get("type") == "array"}
        encoding = {
            name: {"style": said, "explode": explode}
            for name, (said, explode) in styles.items()
            if said in _STYLES["query"]
        }
        if encoding:
            media["encoding"] = encoding
        for name in styles.keys() - encoding.keys():
            properties[name] = {"type": "string", "x-collectionFormat": fields[name]["collectionFormat"]}
        forms = [kind for kind in kinds if kind in (MULTIPART, FORM)] or [MULTIPART, FORM]
        body: Json = {"content": dict.fromkeys(forms, media)}
        return {**body, "required": True} if required else body

    def _field(self, node: Json) -> Json:
        schema: Json = self._schema(_plain(node.get("schema", {})))
        return schema | _kept(node, ("description",))

    def _answer(self, entry: Json, node: Json) -> Json:
        kinds = self._produced(node)
        if kinds == self._produced({}):
            shared = self._shared(entry, "responses")
            if shared:
                return shared
        return self._response(self._pointers.resolve("", entry)[1], kinds)

    def _response(self, node: Json, kinds: list[str]) -> Json:
        found: Json = {"description": str(node.get("description") or ""), **_kept(node, ())}
        examples = dict(node.get("examples") or {})
        if "headers" in node:
            found["headers"] = {name: self._header(said) for name, said in node["headers"].items()}
        if "schema" in node:
            schema = self._schema(node["schema"])
            found["content"] = {kind: {"schema": schema} for kind in kinds or ["*/*"]}
            for kind in examples.keys() & found["content"].keys():
                found["content"][kind] = {"schema": schema, "example": examples.pop(kind)}
        if examples:
            found["x-examples"] = examples
        return found

    def _header(self, node: Json) -> Json:
        return {**_kept(node, ("description", "required")), **self._value(node, "header")}

    def _produced(self, node: Json) -> list[str]:
        return self._said(node, "produces")

    def _said(self, node: Json, keyword: str) -> list[str]:
        return list(node.get(keyword, self._document.get(keyword)) or ())

    def _security(self, alternatives: list[Json]) -> list[Json]:
        names = self._names["securityDefinitions"]
        return [
            {names.get(name, name): scopes for name, scopes in alternative.items()}
            for alternative in alternatives
        ]

    def _schema(self, node: Any) -> Any:
        """A schema with its references in new words."""
        if isinstance(node, list):
            return [self._schema(one) for one in node]
        if not isinstance(node, dict):
            return node
        if isinstance(node.get("$ref"), str):
            reference = "#/components/schemas/" + self._referred(node["$ref"])
            return {"$ref": reference, **_kept(node, ("description",))}
        found = {key: value if _is_opaque(key) else self._schema(value) for key, value in node.items()}
        if isinstance(node.get("properties"), dict):
            found["properties"] = {name: self._schema(said) for name, said in node["properties"].items()}
        return found

    def _referred(self, reference: str) -> str:
        """The name of a schema; one that stands elsewhere than with the definitions is put there."""
        place = self._pointers.target(reference, "/$ref")
        for _ in range(MAX_HOPS):
            token = self._token(place, "definitions") or self._others.get(place)
            if token is not None:
                return token
            node = self._pointers.at(place, "/$ref")
            if not isinstance(node, dict) or "$ref" not in node:
                break
            place = self._pointers.target(node["$ref"], "/$ref")
        token = _free(
            place.rpartition("/")[2], {*self._names["definitions"].values(), *self._others.values()}
        )
        self._others[place] = token
        self._schemas[token] = self._schema(self._pointers.at(place, "/$ref"))
        return token


def _kept(node: Json, keywords: Iterable[str]) -> Json:
    """These keywords, and all extensions."""
    return {key: value for key, value in node.items() if key in keywords or str(key).startswith("x-")}


def _plain(schema: Any) -> Any:
    """A parameter's schema without the extensions, which stay with the parameter."""
    return {key: value for key, value in schema.items() if not key.startswith("x-")}


def _is_opaque(key: str) -> bool:
    return key in _OPAQUE or key.startswith("x-")


def _safe(named: Iterable[str]) -> dict[str, str]:
    """Names → names that components may have (OpenAPI 3.1, 4.8.7), each another."""
    found: dict[str, str] = {}
    for name in sorted(named, key=lambda name: bool(_UNSAFE.search(name))):
        found[name] = _free(name, set(found.values()) if _UNSAFE.search(name) else ())
    return found


def _free(name: str, taken: Iterable[str]) -> str:
    stem = free = _UNSAFE.sub("_", name) or "_"
    number = 2
    while free in taken:
        free, number = f"{stem}{number}", number + 1
    return free


def _scheme(node: Json) -> Json:
    """A way to authenticate."""
    said = _kept(node, ("description",))
    match node.get("type"):
        case "basic":
            return {"type": "http", "scheme": "basic", **said}
        case "oauth2":
            name, urls = _FLOWS.get(str(node.get("flow")), _FLOWS["implicit"])
            flow = {url: str(node.get(url) or "/") for url in urls}
            return {"type": "oauth2", "flows": {name: {**flow, "scopes": node.get("scopes") or {}}}, **said}
        case _:
            return {**_kept(node, ("type", "name", "in")), **said}
