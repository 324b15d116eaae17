"""What a specification offers to be exercised: operations with their parameters and body fields.

Fields are named by JSON pointers in which `*` stands for any item or any additional property. They are
enumerated once per schema, lazily: most operations of a large document are never called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from server.analysis.coverage.fields import FieldTree
from server.analysis.coverage.operation import OperationParts
from server.analysis.coverage.operation_keywords import OperationKeywords
from server.analysis.json import Json
from server.analysis.specs.dialects.kubernetes import watch_switch
from server.analysis.specs.document.media import is_json
from server.analysis.specs.kinds import Where
from server.analysis.specs.model import Content, Operation
from server.analysis.specs.schemas.convert import SchemaDirection
from server.analysis.specs.schemas.validators import Parts

_VERSION = re.compile(r"v\d+(?:(alpha|beta)\d*)?")
STABLE = "stable"
LEVELS = (STABLE, "beta", "alpha")
_ANYTHING = ("*/*", "application/*")


class Said(Protocol):
    """What coverage asks of a specification."""

    @property
    def title(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def operations(self) -> Sequence[Operation]: ...

    def parts(self, place: str) -> Parts: ...
    def fits(self, place: str, value: Json, direction: SchemaDirection) -> bool: ...


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
        self._trees: dict[tuple[int, str], FieldTree] = {}
        self._parts: dict[str, OperationParts] = {}
        self._keywords: dict[str, OperationKeywords] = {}
        self._counts: dict[tuple[int, tuple[str, ...]], int] = {}
        for number, specification in enumerate(specifications):
            for operation in specification.operations:
                if operation.key not in self.offers:
                    self.offers[operation.key] = _offer(operation)
                    self._offered_by[operation.key] = number

    def parts(self, offer: Offer) -> OperationParts:
        """An operation's parts, ready to be found in exchanges."""
        known = self._parts.get(offer.key)
        if known is None:
            known = OperationParts(offer.operation, partial(self._trees_of, self._offered_by[offer.key]))
            self._parts[offer.key] = known
        return known

    def _trees_of(self, number: int, content: Content | None) -> list[FieldTree]:
        """The bodies of this content, as far as they are JSON: a tree of fields for each schema."""
        return [self._tree(number, place) for place in _places(content)]

    def _tree(self, number: int, place: str) -> FieldTree:
        known = self._trees.get((number, place))
        if known is None:
            known = self._trees[number, place] = FieldTree(self._specifications[number], place)
        return known

    def keywords(self, offer: Offer) -> OperationKeywords:
        """An operation's keywords, ready to be found in exchanges."""
        known = self._keywords.get(offer.key)
        if known is None:
            said = self._specifications[self._offered_by[offer.key]]
            known = self._keywords[offer.key] = OperationKeywords(offer.operation, said)
        return known

    def field_names(self, offer: Offer) -> list[str]:
        """All fields of an operation's bodies, as coverage names them."""
        number = self._offered_by[offer.key]
        return [
            f"{at}{pointer}"
            for at, content in _bodies(offer.operation)
            for pointer in sorted(
                {name for tree in self._trees_of(number, content) for name in tree.pointers}
            )
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
            trees = [self._trees.get((number, place)) or FieldTree(said, place) for place in places]
            self._counts[key] = len({name for tree in trees for name in tree.pointers})
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
