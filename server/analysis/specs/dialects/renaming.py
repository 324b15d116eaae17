"""Renames a Swagger document's schemas for OpenAPI's components, with references to them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from server.analysis.json import Json, JsonObject, object_in, text_in
from server.analysis.specs.document.pointers import MAX_HOPS, Pointers, component_name, unescape
from server.analysis.specs.schemas.fields import inheritance

COMPONENTS = {"definitions": "schemas", "parameters": "parameters", "responses": "responses"}
_UNSAFE = re.compile(r"[^a-zA-Z0-9._-]")
_OPAQUE = frozenset(("example", "default", "enum"))


class Renaming:
    """The names of a document's components in OpenAPI, which restricts their characters. `schemas` are those
    with a name: the definitions, and schemas referenced at other places.
    """

    def __init__(self, document: JsonObject, pointers: Pointers) -> None:
        self._document, self._pointers = document, pointers
        self._names = {
            kind: _safe(object_in(document, kind)) for kind in (*COMPONENTS, "securityDefinitions")
        }
        self._others: dict[str, str] = {}  # schemas referenced at other places, by place
        self.schemas: JsonObject = {}

    def names(self, kind: str) -> Mapping[str, str]:
        """Swagger's names of one kind → OpenAPI's."""
        return self._names[kind]

    def add_definitions(self) -> None:
        """Adds all definitions as schemas."""
        for name, node in object_in(self._document, "definitions").items():
            self.schemas[self._names["definitions"][name]] = self.schema(node)
        self._keep_values()

    def _keep_values(self) -> None:
        """Adds mappings for discriminators' values: they were names of definitions, some of which have
        changed.
        """
        names = self._names["definitions"]
        for base, heirs in inheritance(self._document, self._pointers).items():
            called = [component_name(heir) for heir in heirs]
            mapping: JsonObject = {
                name: f"#/components/schemas/{names[name]}"
                for name in called
                if names.get(name, name) != name
            }
            token = self._token(base, "definitions")
            if mapping and token is not None:
                object_in(object_in(self.schemas, token), "discriminator")["mapping"] = mapping

    def shared(self, entry: JsonObject, kind: str) -> JsonObject | None:
        """A reference to a shared component, by its new name; None if `entry` is no reference."""
        if "$ref" not in entry:
            return None
        token = self._token(self._pointers.target(entry["$ref"], "/$ref"), kind)
        return None if token is None else {"$ref": f"#/components/{COMPONENTS[kind]}/{token}"}

    def _token(self, place: str, kind: str) -> str | None:
        """The new name of a place among components of one kind."""
        home, _, name = place[1:].partition("/")
        return self._names[kind].get(unescape(name)) if home == kind else None

    def schema(self, node: Json) -> Json:
        """A schema with references by new names."""
        if isinstance(node, list):
            return [self.schema(one) for one in node]
        return self.schema_object(node) if isinstance(node, dict) else node

    def schema_object(self, node: JsonObject) -> JsonObject:
        """`schema` of an object."""
        reference = text_in(node, "$ref")
        if reference is not None:
            return {
                "$ref": "#/components/schemas/" + self._referred(reference),
                **kept(node, ("description",)),
            }
        found = {key: value if _is_opaque(key) else self.schema(value) for key, value in node.items()}
        if isinstance(node.get("properties"), dict):
            named = object_in(node, "properties")
            found["properties"] = {name: self.schema(said) for name, said in named.items()}
        return found

    def _referred(self, reference: str) -> str:
        """The name of a schema; one outside the definitions is added to them."""
        place = self._pointers.target(reference, "/$ref")
        for _ in range(MAX_HOPS):
            token = self._token(place, "definitions") or self._others.get(place)
            if token is not None:
                return token
            node = self._pointers.at(place, "/$ref")
            if not isinstance(node, dict) or "$ref" not in node:
                break
            place = self._pointers.target(node["$ref"], "/$ref")
        taken = {*self._names["definitions"].values(), *self._others.values()}
        token = self._others[place] = _free(place.rpartition("/")[2], taken)
        self.schemas[token] = self.schema(self._pointers.at(place, "/$ref"))
        return token


def kept(node: JsonObject, keywords: Collection[str]) -> JsonObject:
    """These keywords, and all extensions."""
    return {key: value for key, value in node.items() if key in keywords or key.startswith("x-")}


def _is_opaque(key: str) -> bool:
    return key in _OPAQUE or key.startswith("x-")


def _safe(named: Iterable[str]) -> dict[str, str]:
    """Names → distinct names that are valid for components (OpenAPI 3.1, 4.8.7)."""
    found: dict[str, str] = {}
    for name in sorted(named, key=lambda name: bool(_UNSAFE.search(name))):
        found[name] = _free(name, set(found.values()) if _UNSAFE.search(name) else ())
    return found


def _free(name: str, taken: Collection[str]) -> str:
    stem = free = _UNSAFE.sub("_", name) or "_"
    number = 2
    while free in taken:
        free, number = f"{stem}{number}", number + 1
    return free
