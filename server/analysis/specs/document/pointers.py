"""JSON pointers (RFC 6901) into a document, and local references by them.

A place is identified by its canonical pointer (without "#"), so that two references to one schema share a
validator.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeGuard
from urllib.parse import unquote

from server.analysis.json import Json, JsonObject
from server.analysis.specs.model import SpecError

MAX_HOPS = 64  # references to references


def escape(token: str) -> str:
    if "~" not in token and "/" not in token:  # most are plain
        return token
    return token.replace("~", "~0").replace("/", "~1")


def unescape(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")


def tokens_of(place: str) -> list[str]:
    """The tokens of a pointer."""
    return [unescape(token) for token in place.split("/")[1:]]


def pointer(tokens: Iterable[str | int]) -> str:
    """The pointer of these tokens; "" is the whole document."""
    return "".join(["/" + escape(str(token)) for token in tokens])


def component_name(place: str) -> str:
    """The last token of a pointer."""
    return unescape(place.rpartition("/")[2])


def under(place: str, *tokens: str | int) -> str:
    for token in tokens:
        place += "/" + (escape(token) if isinstance(token, str) else str(token))
    return place


def is_reference(node: Json) -> TypeGuard[JsonObject]:
    """Whether a node is a reference only."""
    return isinstance(node, dict) and node.keys() == {"$ref"}


_Places = dict[str, "_Places"]
"""Places by their tokens; none below is one of them itself."""


class Pointers:
    """Looks places up in one document."""

    def __init__(self, document: JsonObject) -> None:
        self.document = document
        self._found: dict[str, Json] = {}
        self._last: tuple[str, Json] = "", document  # what held the last place: its neighbours come next
        self._targets: dict[str, str] = {}  # by reference: most references are to few places

    def at(self, place: str, named_by: str) -> Json:
        """The value at `place`. Raises SpecError, at `named_by`."""
        if place in self._found:
            return self._found[place]
        parent, _, last = place.rpartition("/")
        value, tokens = self._last[1], [unescape(last)]
        if self._last[0] != parent or not place:
            value, tokens = self.document, tokens_of(place)
        within = value
        for key in tokens:
            within = value
            if isinstance(value, dict) and key in value:
                value = value[key]
            elif isinstance(value, list) and key.isdecimal() and len(key) < 9 and int(key) < len(value):
                value = value[int(key)]
            else:
                raise SpecError(named_by, f"$ref to {place}, which is not in the document")
        self._last = parent, within
        self._found[place] = value
        return value

    def replaced(self, places: Iterable[str], node: JsonObject) -> Pointers:
        """The document with `node` at these places, also where it has none; what is equal is shared."""
        places = [*places]
        tree: _Places = {}
        for place in sorted(places):
            within = tree
            for token in tokens_of(place):
                within = within.setdefault(token, {})
            within.clear()
        document = _replaced(self.document, tree, node)
        assert isinstance(document, dict)
        found = Pointers(document)
        found._found.update(dict.fromkeys(places, node))
        return found

    def target(self, reference: Json, named_by: str) -> str:
        """The canonical place of a `$ref`; only local ones are supported."""
        if not isinstance(reference, str):
            raise SpecError(named_by, "$ref is not a string")
        known = self._targets.get(reference)
        if known is not None:
            return known
        if not reference.startswith("#"):
            raise SpecError(named_by, "$ref to another file or URL; only local references (#/…) are read")
        place = unquote(reference[1:])
        if place and not place.startswith("/"):
            raise SpecError(named_by, "$ref is not a JSON pointer (#/…)")
        self._targets[reference] = target = pointer(tokens_of(place))
        return target

    def resolved(self, place: str, node: Json) -> tuple[str, JsonObject]:
        """The object from `resolve`. Raises SpecError if it is none."""
        place, node = self.resolve(place, node)
        if not isinstance(node, dict):
            raise SpecError(place, "not an object")
        return place, node

    def resolve(self, place: str, node: Json) -> tuple[str, Json]:
        """(place, value) at the end of the chain of references that starts at `node`. Raises SpecError."""
        for _ in range(MAX_HOPS):
            if not (isinstance(node, dict) and "$ref" in node):
                return place, node
            blamed = under(place, "$ref")
            place = self.target(node["$ref"], blamed)
            node = self.at(place, blamed)
        raise SpecError(place, "references lead to one another without end")


def _replaced(value: Json, places: _Places, node: JsonObject) -> Json:
    if not places:
        return node
    if isinstance(value, dict):
        below = {key: _replaced(value[key], rest, node) for key, rest in places.items() if key in value}
        return {**value, **below}
    if isinstance(value, list):
        return [
            _replaced(one, places[str(i)], node) if str(i) in places else one for i, one in enumerate(value)
        ]
    return value
