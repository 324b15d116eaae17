"""Objects that occur at several places become components, named after a field or a path.

Objects are the same if they have the same direction and keys of the same names and kinds. The counts of their
places are added up, so a component allows what each of them showed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from server.analysis.json import Json, JsonObject, object_in
from server.analysis.rebuild.shapes.model import Variant
from server.analysis.rebuild.shapes.render import Style, object_schema
from server.analysis.rebuild.shapes.variants import kind_of_values, together

LEAST_KEYS = 2
PREFIX = "#/components/schemas/"
_WORDS = re.compile(r"[^A-Za-z0-9]+")

Signature = tuple[str, tuple[tuple[str, frozenset[str]], ...]]


def signature(direction: str, variant: Variant) -> Signature:
    kinds = ((key, kind_of_values(field.shape)) for key, field in variant.fields.items())
    return direction, tuple(sorted(kinds, key=lambda pair: pair[0]))


class ObjectCensus:
    """First pass: finds the objects and their places."""

    def __init__(self) -> None:
        self.direction = ""
        self.found: dict[Signature, list[tuple[str, Variant]]] = {}

    def place(self, name: str, variant: Variant, found: JsonObject) -> JsonObject:
        if len(variant.fields) >= LEAST_KEYS:
            self.found.setdefault(signature(self.direction, variant), []).append((name, variant))
        return found

    def named(self, name: str, found: JsonObject) -> str:
        return ""


class Components:
    """Second pass: references to shared objects, and their schemas."""

    def __init__(self, survey: ObjectCensus, taken: Iterable[str] = ()) -> None:
        self.direction = ""
        self.schemas: dict[str, JsonObject] = {}
        self._taken = set(taken)
        self._shared = {key: places for key, places in survey.found.items() if len(places) > 1}
        self._names: dict[Signature, str] = {}

    def place(self, name: str, variant: Variant, found: JsonObject) -> JsonObject:
        key = signature(self.direction, variant)
        places = self._shared.get(key)
        if places is None:
            return found
        return {"$ref": PREFIX + self._name_of(key, places)}

    def named(self, name: str, found: JsonObject) -> str:
        chosen = self._free(type_name(name))
        self.schemas[chosen] = found
        return PREFIX + chosen

    def _name_of(self, key: Signature, places: list[tuple[str, Variant]]) -> str:
        if key not in self._names:
            names = sorted({type_name(name) for name, _ in places}, key=lambda name: (len(name), name))
            ending = "Input" if key[0] == "request" else ""
            self._names[key] = self._free(names[0] + ending)
        return self._names[key]

    def _free(self, name: str) -> str:
        number, free = 2, name
        while free in self._taken:
            free, number = f"{name}{number}", number + 1
        self._taken.add(free)
        return free

    def finish(self, style: Style) -> dict[str, JsonObject]:
        """The referenced schemas by name. Objects inside them are written inline: merged places may look like
        another component that lacks some of them.
        """
        inside = replace(style, shared=_Inside(self))
        for key, name in self._names.items():
            every = together([variant for _, variant in self._shared[key]])
            self.schemas[name] = object_schema(every, inside)
        return dict(sorted(self.schemas.items()))


class _Inside:
    """The shared schemas as used inside a component."""

    def __init__(self, components: Components) -> None:
        self._components = components

    def place(self, name: str, variant: Variant, found: JsonObject) -> JsonObject:
        return found

    def named(self, name: str, found: JsonObject) -> str:
        return self._components.named(name, found)


def inline_single(document: JsonObject, schemas: dict[str, JsonObject]) -> dict[str, JsonObject]:
    """Inlines schemas with a single reference; returns the others."""
    uses: dict[str, list[JsonObject]] = {}
    mapped: set[str] = set()
    for node in _nodes([document, *schemas.values()]):
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith(PREFIX):
            uses.setdefault(target.removeprefix(PREFIX), []).append(node)
        mapping = object_in(object_in(node, "discriminator"), "mapping")
        mapped |= {str(target).removeprefix(PREFIX) for target in mapping.values()}
    left = dict(schemas)
    for name, nodes in uses.items():
        if len(nodes) == 1 and name in left and name not in mapped:
            (node,) = nodes
            del node["$ref"]
            for key, value in left.pop(name).items():
                node.setdefault(key, value)
    return left


def _nodes(roots: Iterable[JsonObject]) -> Iterator[JsonObject]:
    stack: list[Json] = [*roots]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            yield one
            stack.extend(one.values())
        elif isinstance(one, list):
            stack.extend(one)


def type_name(name: str) -> str:
    """One or more words → the name of a type: `order_items` → OrderItems."""
    parts = [part for part in _WORDS.split(name) if part]
    joined = "".join(part[0].upper() + part[1:] for part in parts)[:60]
    return joined if joined and joined[0].isalpha() else f"Type{joined}"
