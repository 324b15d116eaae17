"""Objects that occur at several places become components, named after the resource of their paths.

Two places share a component only if nothing known of either is lost: what both showed together must be
covered by the schema of each, in depth, with closed objects. So a place keeps its required keys, enums,
formats and the fields of its items, however alike the keys of another may be.

There are two passes over the same operations: a census of objects, and the writing of references to them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from jsonschema_rs import canonicalize

from server.analysis.json import Json, JsonObject, object_in
from server.analysis.rebuild.shapes.closed import closed
from server.analysis.rebuild.shapes.model import Variant
from server.analysis.rebuild.shapes.render import Style, object_schema
from server.analysis.rebuild.shapes.variants import kind_of_values, together

LEAST_KEYS = 2
MOST_COMPARED = 12  # groups of like keys that an object is compared with; a further one stays by itself
PREFIX = "#/components/schemas/"
_WRAPPERS = re.compile(
    "content|data|docs|list|(edge|element|hit|item|member|node|object|record|resource|result|row|value)s?"
    "|entry|entries",
    re.IGNORECASE,
)
"""Keys of a body that say nothing of what they hold: it is named after the path."""

_BARE = Style(evidence=False)
_WORDS = re.compile(r"[^A-Za-z0-9]+")

Key = tuple[str, str]
"""Direction, and the text of an object's schema without evidence."""


def key_of(direction: str, variant: Variant) -> Key:
    return direction, json.dumps(object_schema(variant, _BARE), sort_keys=True)


@dataclass(slots=True)
class LikeObjects:
    """Places with one schema. `names` counts what they are called: by whether after a path, and the name."""

    variants: list[Variant]
    names: Counter[tuple[bool, str]]

    def join(self, other: LikeObjects) -> None:
        self.variants += other.variants
        self.names += other.names

    def name(self) -> str:
        """The most frequent name after a path; else that after a field."""
        return min(self.names, key=lambda one: (not one[0], -self.names[one], len(one[1]), one[1]))[1]


class ObjectCensus:
    """First pass: finds the objects and their places. `noun` is that of the path."""

    def __init__(self) -> None:
        self.direction = self.noun = ""
        self.found: dict[Key, LikeObjects] = {}

    def place(self, name: str, variant: Variant, found: JsonObject) -> JsonObject:
        if len(variant.fields) >= LEAST_KEYS:
            named = _named(name, self.noun, variant)
            group = self.found.setdefault(key_of(self.direction, variant), LikeObjects([], Counter()))
            group.join(LikeObjects([variant], Counter([named])))
        return found

    def named(self, name: str, found: JsonObject) -> str:
        return ""

    def groups(self) -> dict[Key, LikeObjects]:
        """The objects by schema; places that lose nothing by it are in one group."""
        alike: dict[object, list[LikeObjects]] = {}
        result: dict[Key, LikeObjects] = {}
        for key, found in self.found.items():
            others = alike.setdefault(_keys_and_kinds(key[0], found.variants[0]), [])
            group = next((one for one in others[:MOST_COMPARED] if _loses_nothing(one, found)), None)
            if group is None:
                group = LikeObjects([], Counter())
                others.append(group)
            group.join(found)
            result[key] = group
        return result


def _named(name: str, noun: str, variant: Variant) -> tuple[bool, str]:
    if name != noun:
        return (True, type_name(noun)) if _WRAPPERS.fullmatch(name) else (False, type_name(name))
    pages = any(_WRAPPERS.fullmatch(key) and field.shape.arrays for key, field in variant.fields.items())
    return True, type_name(noun) + ("Page" if pages else "")


def _keys_and_kinds(direction: str, variant: Variant) -> object:
    kinds = ((key, kind_of_values(field.shape)) for key, field in variant.fields.items())
    return direction, tuple(sorted(kinds, key=lambda pair: pair[0]))


def _loses_nothing(one: LikeObjects, other: LikeObjects) -> bool:
    """Whether each group's schema covers that of both together."""
    both = closed(object_schema(together([*one.variants, *other.variants]), _BARE))
    apart = (closed(object_schema(together(group.variants), _BARE)) for group in (one, other))
    try:
        joint = canonicalize(both, validate_formats=True)
        return all(
            str(canonicalize(each, validate_formats=True).covers(joint)) == "yes"
            for each in apart
            if each != both
        )
    except ValueError:
        return False


class Components:
    """Second pass: references to shared objects, and their schemas."""

    def __init__(self, census: ObjectCensus, taken: Iterable[str] = ()) -> None:
        self.direction = self.noun = ""
        self.schemas: dict[str, JsonObject] = {}
        self._taken = set(taken)
        self._groups = census.groups()
        self._names: dict[int, tuple[str, LikeObjects]] = {}

    def place(self, name: str, variant: Variant, found: JsonObject) -> JsonObject:
        key = key_of(self.direction, variant)
        group = self._groups.get(key)
        if group is None or len(group.variants) < 2:
            return found
        return {"$ref": PREFIX + self._name_of(key[0], group)}

    def named(self, name: str, found: JsonObject) -> str:
        chosen = self._free(type_name(name))
        self.schemas[chosen] = found
        return PREFIX + chosen

    def _name_of(self, direction: str, group: LikeObjects) -> str:
        if id(group) not in self._names:
            ending = "Input" if direction == "request" else ""
            self._names[id(group)] = self._free(group.name() + ending), group
        return self._names[id(group)][0]

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
        for name, group in self._names.values():
            self.schemas[name] = object_schema(together(group.variants), inside)
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
    """Inlines schemas with a single reference; returns the others that are referenced."""
    left = dict(schemas)
    while True:
        uses, mapped = _uses([document, *left.values()])
        unused = left.keys() - uses.keys() - mapped
        single = [name for name in left if len(uses.get(name, ())) == 1 and name not in mapped]
        if not unused and not single:
            return left
        for name in unused:
            del left[name]
        for name in single:
            (node,) = uses[name]
            del node["$ref"]
            for key, value in left.pop(name).items():
                node.setdefault(key, value)


def _uses(roots: Iterable[JsonObject]) -> tuple[dict[str, list[JsonObject]], set[str]]:
    """The references to each schema, and the schemas that a discriminator names."""
    uses: dict[str, list[JsonObject]] = {}
    mapped: set[str] = set()
    for node in _nodes(roots):
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith(PREFIX):
            uses.setdefault(target.removeprefix(PREFIX), []).append(node)
        mapping = object_in(object_in(node, "discriminator"), "mapping")
        mapped |= {str(target).removeprefix(PREFIX) for target in mapping.values()}
    return uses, mapped


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
