"""The fields of a body as a tree: the fields of a schema, and which of them a value has."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import Protocol

from server.analysis.json import Json, array_in, object_in
from server.analysis.specs.document.pointers import escape, under
from server.analysis.specs.schemas.validators import Parts

MAX_FIELDS = 2_000  # of one body; the rest is not counted
MAX_DEPTH = 12  # of a field's pointer
MAX_VALUES = 20_000  # looked at in one body
MAX_SHAPES = 256  # kept of one body: what is found by the names of an object together
MAX_NAMES, MAX_NAMES_LENGTH = 64, 1024  # of an object whose shape is kept
ANY, ITEM = "*", "\0*"  # tokens for the other fields of an object, and for the items of an array


class SchemaSource(Protocol):
    """Resolves the schemas of a place."""

    def parts(self, place: str) -> Parts: ...


class Field:
    """A field, or a body itself: its bit among those of the tree (a body has none), and the fields within by
    name (ANY: all others; ITEM: the items of an array).
    """

    __slots__ = ("bit", "fields", "shapes")

    def __init__(self, bit: int) -> None:
        self.bit = bit
        self.fields: dict[str, Field] = {}
        self.shapes: dict[tuple[str, ...], Shape] = {}


Shape = tuple[int, list[tuple[str, Field]]]
"""Of an object's names: the bits of their fields, and those of them that have fields within."""


class FieldTree:
    """All fields below a schema, nearest first, as far as the bounds go: `pointers` in the order of their
    bits.

    A schema that contains itself is expanded once, not again within its own fields.
    """

    __slots__ = ("_room", "pointers", "root")

    def __init__(self, schemas: SchemaSource, place: str) -> None:
        self.root = Field(0)
        self._room = MAX_SHAPES
        known, bits = {"": self.root}, dict[str, int]()
        for pointer, token, _ in places_below(schemas, place):
            at = f"{pointer}/{escape(token)}"
            if at not in known:
                if len(bits) == MAX_FIELDS:
                    break
                bit = bits.setdefault(shown(at), 1 << len(bits))
                known[at] = known[pointer].fields[token] = Field(bit)
        self.pointers = [*bits]

    def find(self, value: Json) -> int:
        """The bits of all fields in a value. Names that no schema has count as additional fields."""
        found, looked = 0, 0
        pending: list[tuple[Json, Field]] = [(value, self.root)]
        while pending and looked < MAX_VALUES:
            at, field = pending.pop()
            if isinstance(at, dict):
                names = (*at,)
                bits, within = field.shapes.get(names) or self._shape(field, names)
                found |= bits
                for name, one in within:
                    pending.append((at[name], one))
            elif isinstance(at, list) and at and (other := field.fields.get(ITEM)) is not None:
                found |= other.bit
                if other.fields:
                    pending += [(child, other) for child in at]
            else:
                continue
            looked += len(at)
        return found

    def _shape(self, field: Field, names: tuple[str, ...]) -> Shape:
        """What is found in an object of these names, which traffic chooses: kept while there is room."""
        known, other = [], field.fields.get(ANY)
        for name in names:
            one = field.fields.get(name, other)
            if one is not None:
                known.append((name, one))
        shape = reduce(or_, (one.bit for _, one in known), 0), [pair for pair in known if pair[1].fields]
        size = sum(map(len, names))
        if self._room and len(names) <= MAX_NAMES and size <= MAX_NAMES_LENGTH:
            self._room -= 1
            field.shapes[names] = shape
        return shape


def shown(pointer: str) -> str:
    """A pointer as reports have it: `*` for any item and for any name."""
    return pointer.replace(ITEM, ANY)


def places_below(schemas: SchemaSource, place: str) -> Iterator[tuple[str, str, Parts]]:
    """(pointer of what it is in, token, schemas) of each place below a schema, nearest first. One that
    contains itself is expanded once: again within its own fields it has no schemas.
    """
    parts = schemas.parts(place)
    level = [("", parts, frozenset(parts))]
    for _ in range(MAX_DEPTH):
        below: list[tuple[str, Parts, frozenset[str]]] = []
        for pointer, parts, above in level:
            for token, child in children(parts):
                inner = schemas.parts(child)
                is_new = above.isdisjoint(inner)
                yield pointer, token, inner if is_new else {}
                if is_new:
                    below.append((f"{pointer}/{escape(token)}", inner, above.union(inner)))
        level = below


def children(parts: Parts) -> Iterator[tuple[str, str]]:
    """(token, place) of the schemas of fields, additional properties and items."""
    for at, node in parts.items():
        for name in object_in(node, "properties"):
            yield name, under(at, "properties", name)
        for i, _ in enumerate(array_in(node, "prefixItems")):
            yield ITEM, under(at, "prefixItems", i)
        for token, keyword in ((ITEM, "items"), (ANY, "additionalProperties")):
            if isinstance(node.get(keyword), dict):
                yield token, under(at, keyword)
        for pattern in object_in(node, "patternProperties"):
            yield ANY, under(at, "patternProperties", pattern)
