"""The fields of a body, as a tree: what a schema offers, and which of that a value has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from server.analysis.json import Json, array_in, object_in
from server.analysis.specs.document.pointers import escape, under
from server.analysis.specs.schemas.validators import Parts

MAX_FIELDS = 2_000  # of one body; the rest is not counted
MAX_DEPTH = 12  # of a field's pointer
MAX_VALUES = 20_000  # looked at in one body
ANY = "*"


class SchemaSource(Protocol):
    """What tells the schemas of a place."""

    def parts(self, place: str) -> Parts: ...


class Field:
    """A field, or a body itself: its number in the tree, and the fields within by name (ANY: all others)."""

    __slots__ = ("fields", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.fields: dict[str, Field] = {}


class FieldTree:
    """All fields below a schema, nearest first, as far as the bounds go: `pointers` by their numbers.

    A schema that contains itself is told once, not once again in each of its own fields.
    """

    __slots__ = ("pointers", "root")

    def __init__(self, schemas: SchemaSource, place: str) -> None:
        self.root = Field(-1)
        self.pointers: list[str] = []
        parts = schemas.parts(place)
        level = [(self.root, "", parts, frozenset(parts))]
        for _ in range(MAX_DEPTH):
            below: list[tuple[Field, str, Parts, frozenset[str]]] = []
            for field, pointer, parts, above in level:
                for token, child in _children(parts):
                    at = f"{pointer}/{escape(token)}"
                    if token not in field.fields:
                        if len(self.pointers) == MAX_FIELDS:
                            return
                        field.fields[token] = Field(len(self.pointers))
                        self.pointers.append(at)
                    inner = schemas.parts(child)
                    if above.isdisjoint(inner):
                        below.append((field.fields[token], at, inner, above.union(inner)))
            level = below

    def find(self, value: Json) -> bytes:
        """Which fields occur in a value: a 1 at the number of each. Names that no schema has are additional
        ones.
        """
        found = bytearray(len(self.pointers))
        pending: list[tuple[Json, Field]] = [(value, self.root)]
        looked = 0
        while pending and looked < MAX_VALUES:
            at, field = pending.pop()
            fields = field.fields
            other = fields.get(ANY)
            if isinstance(at, dict):
                for name, child in at.items():
                    one = fields.get(name, other)
                    if one is not None:
                        found[one.number] = 1
                        if one.fields:
                            pending.append((child, one))
            elif isinstance(at, list) and other is not None and at:
                found[other.number] = 1
                if other.fields:
                    pending += [(child, other) for child in at]
            else:
                continue
            looked += len(at)
        return bytes(found)


def _children(parts: Parts) -> Iterator[tuple[str, str]]:
    """(token, place) of the schemas of fields, additional properties and items."""
    for at, node in parts.items():
        for name in object_in(node, "properties"):
            yield name, under(at, "properties", name)
        for i, _ in enumerate(array_in(node, "prefixItems")):
            yield ANY, under(at, "prefixItems", i)
        for keyword in ("items", "additionalProperties"):
            if isinstance(node.get(keyword), dict):
                yield ANY, under(at, keyword)
        for pattern in object_in(node, "patternProperties"):
            yield ANY, under(at, "patternProperties", pattern)
