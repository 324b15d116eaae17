"""Keywords of a schema: which of the values that it allows were seen.

| name | hit by |
|---|---|
| `value query:state "open"` | one value of an `enum` or `const`, and each of a boolean |
| `bound query:limit maximum` | the value at a bound: `minimum`, `maximum`, those of lengths and of items |
| `branch response.body.200/pet oneOf/0` | a value that an alternative of `oneOf` or `anyOf` allows |

A masked value hits nothing: its placeholder says neither which value it was nor how long.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Protocol

from server.analysis.coverage.fields import (
    ANY,
    ITEM,
    MAX_FIELDS,
    MAX_VALUES,
    SchemaSource,
    places_below,
    shown,
)
from server.analysis.json import Json, JsonObject, array_in
from server.analysis.specs.document.pointers import escape, under
from server.analysis.specs.schemas.convert import SchemaDirection
from server.analysis.specs.schemas.validators import Parts

MAX_KEYWORDS = 1_000  # of one body, or one parameter; the rest is not counted
MAX_ENUM = 100  # values of one enum
_NUMBERS = ("minimum", "maximum")
_LENGTHS = {"minLength": str, "maxLength": str, "minItems": list, "maxItems": list}
_ALTERNATIVES = ("oneOf", "anyOf")


class KeywordSchemas(SchemaSource, Protocol):
    """Resolves the schemas of a place, and says whether values fit them."""

    def fits(self, place: str, value: Json, direction: SchemaDirection) -> bool: ...


@dataclass(frozen=True, slots=True)
class Keyword:
    """One keyword: what it is called, and whether a value hits it."""

    name: str
    hit: Callable[[Json], bool]


class _Node:
    """A value's place: its keywords, and the places within by field name (ANY: all others; ITEM: the
    items of an array).
    """

    __slots__ = ("keywords", "within")

    def __init__(self) -> None:
        self.keywords: list[Keyword] = []
        self.within: dict[str, _Node] = {}


class KeywordTree:
    """The keywords of a schema and of all fields below it, as far as the bounds go."""

    def __init__(self, schemas: KeywordSchemas, place: str, at: str, direction: SchemaDirection) -> None:
        self.names: dict[str, None] = {}
        self._root = _Node()
        self._add(self._root, _keywords(schemas, schemas.parts(place), at, direction))
        nodes = {"": self._root}
        for pointer, token, parts in islice(places_below(schemas, place), MAX_FIELDS):
            within = f"{pointer}/{escape(token)}"
            node = nodes[within] = nodes[pointer].within.setdefault(token, _Node())
            self._add(node, _keywords(schemas, parts, at + shown(within), direction))

    def _add(self, node: _Node, found: Iterable[Keyword]) -> None:
        known = {one.name for one in node.keywords}
        for one in found:
            if len(self.names) == MAX_KEYWORDS:
                return
            if one.name not in known:
                known.add(one.name)
                node.keywords.append(one)
                self.names[one.name] = None

    def hits(self, value: Json, is_masked: Callable[[str], bool] = lambda pointer: False) -> Iterator[str]:
        """The names of the keywords that a value hits, some of them repeatedly."""
        looked = 0
        pending: list[tuple[Json, _Node, str]] = [(value, self._root, "")]
        while pending and looked < MAX_VALUES:
            looked += 1
            at, node, pointer = pending.pop()
            if not is_masked(pointer):
                yield from (one.name for one in node.keywords if one.hit(at))
            if isinstance(at, dict):
                other = node.within.get(ANY)
                for name, child in at.items():
                    found = node.within.get(name, other)
                    if found is not None:
                        pending.append((child, found, f"{pointer}/{escape(name)}"))
            elif isinstance(at, list) and (items := node.within.get(ITEM)) is not None:
                pending += [(child, items, f"{pointer}/{i}") for i, child in enumerate(at)]


def _keywords(
    schemas: KeywordSchemas, parts: Parts, at: str, direction: SchemaDirection
) -> Iterator[Keyword]:
    for place, node in parts.items():
        values = [*array_in(node, "enum")[:MAX_ENUM], *([node["const"]] if "const" in node else [])]
        if not values and node.get("type") == "boolean":
            values = [True, False]
        for value in values:
            yield Keyword(f"value {at} {_text(value)}", _is(value))
        yield from _bounds(node, at)
        for word in _ALTERNATIVES:
            for number, _ in enumerate(array_in(node, word)):
                branch = under(place, word, number)
                name = f"branch {at} {word}/{number}"
                yield Keyword(name, partial(_fits, schemas, branch, direction))


def _fits(schemas: KeywordSchemas, place: str, direction: SchemaDirection, value: Json) -> bool:
    return schemas.fits(place, value, direction)


def _bounds(node: JsonObject, at: str) -> Iterator[Keyword]:
    for word in _NUMBERS:
        bound = node.get(word)
        if _is_number(bound):
            yield Keyword(f"bound {at} {word}", _is(bound))
    for word, kind in _LENGTHS.items():
        bound = node.get(word)
        if isinstance(bound, int) and not isinstance(bound, bool):
            yield Keyword(f"bound {at} {word}", _has_length(kind, bound))


def _is(wanted: Json) -> Callable[[Json], bool]:
    """Equality as JSON Schema has it: 1 is 1.0, and neither is true."""
    if _is_number(wanted):
        return lambda value: _is_number(value) and value == wanted
    text = _text(wanted)
    return lambda value: type(value) is type(wanted) and _text(value) == text


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has_length(kind: type, length: int) -> Callable[[Json], bool]:
    return lambda value: isinstance(value, str | list) and isinstance(value, kind) and len(value) == length


def _text(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
