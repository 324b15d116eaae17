"""What a specification offers to be exercised: operations with their parameters and body fields.

Fields are named by JSON pointers in which `*` stands for any item or any additional property. They are
enumerated once per schema, lazily: most operations of a large document are never called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Content, Operation
from server.analysis.specs.operations import is_json
from server.analysis.specs.pointers import escape, under
from server.analysis.specs.schemas import Parts, Schemas
from server.analysis.specs.specification import Specification

MAX_FIELDS = 2_000  # of one body; the rest is not counted
MAX_DEPTH = 12  # of a field's pointer

_VERSION = re.compile(r"v\d+(?:(alpha|beta)\d*)?")
STABLE = "stable"
LEVELS = (STABLE, "beta", "alpha")
ANY = "*"

Fields = frozenset[str]


@dataclass(frozen=True, slots=True)
class Offer:
    """One operation as coverage sees it. `watches`: its `watch` parameter makes it another kind of call."""

    operation: Operation
    level: str
    watches: bool

    @property
    def key(self) -> str:
        return self.operation.key


class Outline:
    """All that one or several specifications of an API offer, by operation key."""

    def __init__(self, specifications: Sequence[Specification]) -> None:
        self.title = ", ".join(dict.fromkeys(one.title for one in specifications))
        self.version = ", ".join(dict.fromkeys(one.version for one in specifications))
        self.offers: dict[str, Offer] = {}
        self._schemas: dict[str, Schemas] = {}
        self._fields: dict[tuple[int, str], Fields] = {}
        for specification in specifications:
            for operation in specification.operations:
                if operation.key not in self.offers:
                    self.offers[operation.key] = _offer(operation)
                    self._schemas[operation.key] = specification.schemas

    def fields(self, offer: Offer, content: Content | None) -> Fields:
        """The fields that a body of this content may hold, as far as it is JSON."""
        schemas = self._schemas[offer.key]
        found: Fields = frozenset()
        for kind, place in content.media.items() if content else ():
            if place is not None and (is_json(kind) or kind in ("*/*", "application/*")):
                found |= self._at(schemas, place)
        return found

    def _at(self, schemas: Schemas, place: str) -> Fields:
        known = self._fields.get((id(schemas), place))
        if known is None:
            pointers = (pointer for pointer, _ in zip(_walk(schemas, place), range(MAX_FIELDS), strict=False))
            known = self._fields[id(schemas), place] = frozenset(pointers)
        return known

    def field_names(self, offer: Offer) -> list[str]:
        """All fields of an operation's bodies, as coverage names them."""
        return [
            f"{at}{pointer}"
            for at, content in _bodies(offer.operation)
            for pointer in sorted(self.fields(offer, content))
        ]

    def field_count(self, offer: Offer) -> int:
        """How many `field_names` there are, without making them: a large document has millions."""
        return sum(len(self.fields(offer, content)) for _, content in _bodies(offer.operation))


def _bodies(operation: Operation) -> Iterator[tuple[str, Content]]:
    if operation.body is not None:
        yield str(Where.REQUEST_BODY), operation.body
    for status, content in operation.responses.items():
        yield f"{Where.RESPONSE_BODY}.{status}", content


def _offer(operation: Operation) -> Offer:
    watches = operation.method == "GET" and any(
        one.name == "watch" and one.where is Where.QUERY for one in operation.parameters
    )
    return Offer(operation, level_of(operation.template), watches)


def level_of(template: str) -> str:
    """The maturity that a version in the path tells (`/apis/apps/v1beta2/…` is beta); stable without one."""
    for segment in template.split("/"):
        version = _VERSION.fullmatch(segment)
        if version:
            return version[1] or STABLE
    return STABLE


def _walk(schemas: Schemas, place: str) -> Iterator[str]:
    """Pointers of all fields below a schema, nearest first, each once.

    A schema that contains itself is told once, not once again in each of its own fields.
    """
    told: set[str] = set()
    parts = schemas.parts(place)
    level = [("", parts, frozenset(parts))]
    for _ in range(MAX_DEPTH):
        below: list[tuple[str, Parts, frozenset[str]]] = []
        for pointer, parts, above in level:
            for name, child in _children(parts):
                field = f"{pointer}/{name}"
                if field not in told:
                    told.add(field)
                    yield field
                inner = schemas.parts(child)
                if above.isdisjoint(inner):
                    below.append((field, inner, above.union(inner)))
        level = below


def _children(parts: Parts) -> Iterator[tuple[str, str]]:
    """(token, place) of the schemas of fields, additional properties and items."""
    for at, node in parts.items():
        for name in node.get("properties", ()):
            yield escape(name), under(at, "properties", name)
        for i, _ in enumerate(node.get("prefixItems", ())):
            yield ANY, under(at, "prefixItems", i)
        for keyword in ("items", "additionalProperties"):
            if isinstance(node.get(keyword), dict):
                yield ANY, under(at, keyword)
        for pattern in node.get("patternProperties", ()):
            yield ANY, under(at, "patternProperties", pattern)
