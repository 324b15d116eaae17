"""What a specification offers to be exercised: operations with their parameters and body fields.

Fields are named by JSON pointers in which `*` stands for any item or any additional property. They are
enumerated once per schema, lazily: most operations of a large document are never called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from server.analysis.json import array_in, object_in
from server.analysis.specs.dialects.kubernetes import watch_switch
from server.analysis.specs.document.media import is_json
from server.analysis.specs.document.pointers import escape, under
from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Content, Operation
from server.analysis.specs.schemas.validators import Parts

MAX_FIELDS = 2_000  # of one body; the rest is not counted
MAX_DEPTH = 12  # of a field's pointer

_VERSION = re.compile(r"v\d+(?:(alpha|beta)\d*)?")
STABLE = "stable"
LEVELS = (STABLE, "beta", "alpha")
ANY = "*"
_ANYTHING = ("*/*", "application/*")


class Field:
    """A field, or a body itself: its pointer, and the fields within by name (ANY for all others)."""

    __slots__ = ("fields", "pointer")

    def __init__(self, pointer: str) -> None:
        self.pointer = pointer
        self.fields: dict[str, Field] = {}

    def pointers(self) -> Iterator[str]:
        """Of all fields within, at any depth."""
        pending = [*self.fields.values()]
        while pending:
            field = pending.pop()
            yield field.pointer
            pending += field.fields.values()


class Said(Protocol):
    """What coverage asks of a specification."""

    @property
    def title(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def operations(self) -> Sequence[Operation]: ...

    def parts(self, place: str) -> Parts: ...


@dataclass(frozen=True, slots=True)
class Offer:
    """One operation as coverage sees it. `watch_switch`: the query parameter that makes it another kind of
    call.
    """

    operation: Operation
    level: str
    watch_switch: str | None

    @property
    def key(self) -> str:
        return self.operation.key


class Outline:
    """All that one or several specifications of an API offer, by operation key."""

    def __init__(self, specifications: Sequence[Said]) -> None:
        self.title = ", ".join(dict.fromkeys(one.title for one in specifications))
        self.version = ", ".join(dict.fromkeys(one.version for one in specifications))
        self._specifications = tuple(specifications)
        self.offers: dict[str, Offer] = {}
        self._offered_by: dict[str, int] = {}  # which of the specifications, by operation key
        self._fields: dict[tuple[int, str], Field] = {}
        self._counts: dict[tuple[int, tuple[str, ...]], int] = {}
        for number, specification in enumerate(specifications):
            for operation in specification.operations:
                if operation.key not in self.offers:
                    self.offers[operation.key] = _offer(operation)
                    self._offered_by[operation.key] = number

    def fields(self, offer: Offer, content: Content | None) -> Sequence[Field]:
        """The bodies of this content, as far as they are JSON: a tree of fields for each schema."""
        number = self._offered_by[offer.key]
        return [self._at(number, place) for place in _places(content)]

    def _at(self, number: int, place: str) -> Field:
        known = self._fields.get((number, place))
        if known is None:
            known = self._fields[number, place] = _tree(self._specifications[number], place)
        return known

    def field_names(self, offer: Offer) -> list[str]:
        """All fields of an operation's bodies, as coverage names them."""
        return [
            f"{at}{pointer}"
            for at, content in _bodies(offer.operation)
            for pointer in sorted({name for tree in self.fields(offer, content) for name in tree.pointers()})
        ]

    def field_count(self, offer: Offer) -> int:
        """How many `field_names` there are. Of what was not called the numbers alone are kept: the names
        of a large document take hundreds of megabytes."""
        return sum(self._count(offer, content) for _, content in _bodies(offer.operation))

    def _count(self, offer: Offer, content: Content) -> int:
        number, places = self._offered_by[offer.key], _places(content)
        key = (number, tuple(places))
        if key not in self._counts:
            said = self._specifications[number]
            trees = [self._fields.get((number, place)) or _tree(said, place) for place in places]
            self._counts[key] = len({name for tree in trees for name in tree.pointers()})
        return self._counts[key]


def _places(content: Content | None) -> list[str]:
    """The schemas of a content's JSON bodies, each once."""
    media = content.media if content else {}
    found = [
        place for kind, place in media.items() if place is not None and (is_json(kind) or kind in _ANYTHING)
    ]
    return list(dict.fromkeys(found))


def _bodies(operation: Operation) -> Iterator[tuple[str, Content]]:
    if operation.body is not None:
        yield str(Where.REQUEST_BODY), operation.body
    for status, content in operation.responses.items():
        yield f"{Where.RESPONSE_BODY}.{status}", content


def _offer(operation: Operation) -> Offer:
    return Offer(operation, level_of(operation.template), watch_switch(operation))


def level_of(template: str) -> str:
    """The maturity that a version in the path tells (`/apis/apps/v1beta2/…` is beta); stable without one."""
    for segment in template.split("/"):
        version = _VERSION.fullmatch(segment)
        if version:
            return version[1] or STABLE
    return STABLE


def _tree(said: Said, place: str) -> Field:
    """All fields below a schema, nearest first, as far as the bounds go.

    A schema that contains itself is told once, not once again in each of its own fields.
    """
    root = Field("")
    parts = said.parts(place)
    level = [(root, parts, frozenset(parts))]
    room = MAX_FIELDS
    for _ in range(MAX_DEPTH):
        below: list[tuple[Field, Parts, frozenset[str]]] = []
        for field, parts, above in level:
            for token, child in _children(parts):
                if token not in field.fields:
                    if not room:
                        return root
                    room -= 1
                    field.fields[token] = Field(f"{field.pointer}/{escape(token)}")
                inner = said.parts(child)
                if above.isdisjoint(inner):
                    below.append((field.fields[token], inner, above.union(inner)))
        level = below
    return root


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
