"""Changes of the schemas that apply at a place in a value, so that the value fits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from server.analysis.json import Json, JsonObject, array_in, object_in
from server.analysis.specs.amending.patches import Change, add, remove, replace
from server.analysis.specs.amending.sample import Shown
from server.analysis.specs.amending.site import Site
from server.analysis.specs.amending.words import Changes, Words
from server.analysis.specs.deviation import DeviationIdentity
from server.analysis.specs.document.pointers import tokens_of, under
from server.analysis.specs.kinds import Kind
from server.analysis.specs.schemas.fields import types_of
from server.analysis.specs.schemas.validators import Parts

_KEYWORDS: Mapping[str, tuple[str, ...]] = {
    Kind.FORMAT: ("format",),
    Kind.PATTERN: ("pattern",),
    Kind.ENUM: ("enum", "const", "discriminator"),
    Kind.ONE_OF: ("oneOf", "anyOf", "not"),
    Kind.BOUNDS: (
        *("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf", "maxLength"),
        *("minLength", "maxItems", "minItems", "uniqueItems", "maxProperties", "minProperties", "format"),
        *("contains", "minContains", "maxContains", "unevaluatedItems", "prefixItems"),
    ),
    Kind.READ_ONLY: ("readOnly",),
    Kind.WRITE_ONLY: ("writeOnly",),
}
"""Keywords to remove, one by one and then together, so that a kind conforms."""
_OF_FIELDS = (Kind.UNKNOWN_FIELD, Kind.FORBIDDEN_FIELD, Kind.MISSING_FIELD)
_TYPES = {bool: "boolean", str: "string", int: "integer", float: "number", list: "array", dict: "object"}


class Loosening:
    """Changes at one place: the schemas `parts` apply there, and a sample may show its value."""

    def __init__(self, words: Words, parts: Parts, shown: Shown | None) -> None:
        self._words, self._parts, self._shown = words, parts, shown

    def of_field(self, kind: str, name: str) -> Iterator[Changes]:
        """Describes, allows or no longer requires a field of this name."""
        if kind == Kind.MISSING_FIELD:
            yield self._optional(name)
            return
        described = self._described(name)
        if kind == Kind.FORBIDDEN_FIELD:
            closed = {
                at: part for at, part in self._parts.items() if part.get("additionalProperties") is False
            }
            yield tuple(self._property(at, part, name, described) for at, part in closed.items())
            yield self._without(["additionalProperties", "unevaluatedProperties", "propertyNames"])
            return
        for at, part in self._parts.items():
            if "properties" in part:
                yield (self._property(at, part, name, described),)

    def of_value(self, kind: str) -> Iterator[Changes]:
        """Makes the value itself conform."""
        if kind == Kind.TYPE:
            yield from self._typed()
            return
        if kind == Kind.ENUM and self._shown and isinstance(self._shown.value, (str, int, float)):
            yield self._enumerated(self._shown.value)
        keywords = _KEYWORDS.get(kind, ())
        for keyword in keywords if len(keywords) > 1 else ():
            yield self._without([keyword])
        yield self._without(keywords)

    def _optional(self, name: str) -> Changes:
        return tuple(
            replace(
                self._words.place(at), "required", [one for one in array_in(part, "required") if one != name]
            )
            for at, part in self._parts.items()
            if name in array_in(part, "required")
        )

    def _described(self, name: str) -> JsonObject:
        """A schema for a field, from its value in the sample."""
        value = self._shown.value if self._shown else None
        field = value.get(name) if isinstance(value, dict) else None
        return {} if field is None else {"type": _type(field)}

    def _property(self, at: str, part: JsonObject, name: str, schema: JsonObject) -> Change:
        place = self._words.place(at)
        if "properties" in part:
            return add(under(place, "properties"), name, schema)
        return add(place, "properties", {name: schema})

    def _typed(self) -> Iterator[Changes]:
        typed = {at: part for at, part in self._parts.items() if "type" in part}
        null = self._words.null
        if self._shown and self._shown.value is None and null is not None:
            yield tuple(add(self._words.place(at), null, True) for at in typed)
        elif self._shown and self._words.takes_type_lists:
            other = _type(self._shown.value)
            yield tuple(
                add(self._words.place(at), "type", [*types_of(part), other]) for at, part in typed.items()
            )
        yield self._without(["type"])
        yield self._without(["type", "format", "enum", "properties", "items"])

    def _enumerated(self, value: Json) -> Changes:
        return tuple(
            add(self._words.place(at), "enum", [*array_in(part, "enum"), value])
            for at, part in self._parts.items()
            if "enum" in part
        )

    def _without(self, keywords: Collection[str]) -> Changes:
        return tuple(
            remove(self._words.place(at), keyword)
            for at, part in self._parts.items()
            for keyword in keywords
            if keyword in part
        )


def changes_of_schema(
    site: Site, words: Words, parts_at: Callable[[str], Parts], identity: DeviationIdentity
) -> Iterator[Changes]:
    """Changes of the schemas by which a value of this call was validated; `parts_at` returns those that apply
    at a place of the document.
    """
    kind, where, place = identity.kind, identity.where, identity.place
    tokens = tokens_of(place) if where.endswith(".body") else []
    name = tokens.pop() if kind in _OF_FIELDS and tokens else ""
    parts: dict[str, JsonObject] = {}
    for root in site.schemas(where, place):
        parts |= reach(root, tokens, parts_at)
    loosening = Loosening(words, parts, site.sample.value(where, tokens))
    return loosening.of_field(kind, name) if kind in _OF_FIELDS else loosening.of_value(kind)


def reach(root: str, tokens: Sequence[str], parts_at: Callable[[str], Parts]) -> Parts:
    """The schemas that apply at a place in a value, by their own places."""
    parts = parts_at(root)
    for token in tokens:
        below: dict[str, JsonObject] = {}
        for at, part in parts.items():
            for place in _below(at, part, token):
                below |= parts_at(place)
        parts = below
    return parts


def _below(at: str, part: JsonObject, token: str) -> Iterator[str]:
    if token in object_in(part, "properties"):
        yield under(at, "properties", token)
    elif isinstance(part.get("additionalProperties"), dict) and token != "*":
        yield under(at, "additionalProperties")
    if (token == "*" or token.isdecimal()) and isinstance(part.get("items"), dict):
        yield under(at, "items")


def _type(value: Json) -> str:
    return _TYPES.get(type(value), "null")
