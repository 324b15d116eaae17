"""A schema of OpenAPI 3.0 or 3.1 → JSON Schema 2020-12, for one direction.

Every referenced schema becomes a definition whose name states its role. `soft` adds two checks, whose errors
are recognised by their definition: NAMED lists the fields a place may have, REFUSED marks a field of the
other direction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from server.analysis.json import Json, JsonObject, array_in, object_in, texts_in
from server.analysis.specs.document.pointers import component_name, escape, is_reference, under
from server.analysis.specs.schemas.fields import FieldIndex, chooser_of
from server.analysis.specs.schemas.keywords import Schema, has, is_null, nullable, of_value
from server.analysis.specs.schemas.survey import ONLY_31, UNKNOWN, SchemaSurvey
from server.analysis.specs.schemas.words import Words, choosable, occurring

NAMED, REFUSED = "named", "refused"  # prefixes of these definitions' names
MAX_SCHEMAS = 300_000  # compiled together; a compiled one takes about 1 KB

_OF_FIELDS = frozenset(
    {"properties", "patternProperties", "additionalProperties", "unevaluatedProperties"}
    | {"allOf", "if", "then", "else", "dependentSchemas"}
)
_BELOW = ("items", "additionalProperties", "unevaluatedItems", "unevaluatedProperties")


_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")


class TooLarge(Exception):
    """More than MAX_SCHEMAS schemas would be compiled together."""


class SchemaDirection(StrEnum):
    REQUEST = "request"
    RESPONSE = "response"


class _Meant(Enum):
    """How a definition applies to its place."""

    LOCATION = auto()  # it describes a value of the body: only the fields it names are expected
    BRANCH = auto()  # it may describe a value: a base type may be one of its heirs
    BESIDE = auto()  # it applies together with others


@dataclass(frozen=True, slots=True)
class _Part:
    place: str
    meant: _Meant
    soft: bool


class Converter:
    """Converts schemas of one document for one direction into one set of definitions.

    `references` then has a `$ref` for each root; `branching` are the roots whose alternatives depend on soft
    errors.
    """

    def __init__(
        self,
        surveyed: SchemaSurvey,
        fields: FieldIndex,
        direction: SchemaDirection,
        doubtful: bool = False,
        words: Words = None,
    ) -> None:
        """`doubtful`: where an unsupported pattern would decide, nothing conforms; else everything does.
        `words`: no value has other fields, nor other values of discriminators.
        """
        self._pointers, self._fields, self._is_31 = surveyed.pointers, fields, surveyed.is_31
        self._bad_patterns = surveyed.bad_patterns
        self._nulls = surveyed.nulls
        self._doubtful, self._words = doubtful, words
        self._other = "readOnly" if direction is SchemaDirection.REQUEST else "writeOnly"
        self._names: dict[_Part, str] = {}
        self._users: dict[_Part, set[_Part]] = {}
        self._branching: set[_Part] = set()
        self._pending: list[_Part] = []
        self._current: _Part | None = None
        self._soft = False
        self.size = 0
        self.definitions: JsonObject = {}
        self.references: JsonObject = {}

    def convert(self, places: Iterable[str], soft: bool) -> frozenset[str]:
        """Converts these roots; returns those that branch. Raises TooLarge."""
        self._soft = soft
        self.references = {place: self._reference(place, _Meant.LOCATION) for place in places}
        while self._pending:
            part = self._current = self._pending.pop()
            self._soft = part.soft
            node = self._pointers.at(part.place, part.place)
            self.definitions[self._names[part]] = self._definition(node, part)
        branching = self._reaching(self._branching)
        return frozenset(part.place for part in branching if part.place in self.references)

    def _definition(self, node: Json, part: _Part) -> Schema:
        match part.meant:
            case _Meant.LOCATION:
                return self._location(node, part.place)
            case _Meant.BRANCH:
                return self._with_heirs(node, part.place)
            case _Meant.BESIDE:
                return self._beside(node, part.place)

    def _reference(self, place: str, meant: _Meant) -> JsonObject:
        part = _Part(place, meant, self._soft)
        if part not in self._names:
            self._names[part] = f"s{len(self._names)}.{_UNSAFE.sub('_', component_name(place))}"
            self._pending.append(part)
        if self._current is not None:
            self._users.setdefault(part, set()).add(self._current)
        return {"$ref": "#/$defs/" + self._names[part]}

    def _reaching(self, parts: set[_Part]) -> set[_Part]:
        """The parts, and everything that refers to them, directly or not."""
        reaching: set[_Part] = set()
        pending = list(parts)
        while pending:
            part = pending.pop()
            if part not in reaching:
                reaching.add(part)
                pending += self._users.get(part, ())
        return reaching

    def _target(self, node: JsonObject, place: str) -> str:
        return self._pointers.target(node["$ref"], place)

    def _reads(self, keyword: str) -> bool:
        return self._is_31 or keyword not in ONLY_31

    # How a definition applies: see _Meant.

    def _location(self, node: Json, place: str) -> Schema:
        if isinstance(node, dict) and "$ref" in node and (not self._is_31 or len(node) == 1):
            return self._reference(self._target(node, place), _Meant.LOCATION)
        converted = self._branch(node, place)
        lists = [*self._lists(node, place)] if self._soft and isinstance(node, dict) else []
        return {"allOf": [converted, *lists]} if lists else converted

    def _lists(self, node: JsonObject, place: str) -> Iterator[JsonObject]:
        """The lists of a place's fields: the schema's, or that of the schema a discriminator chooses."""
        every = self._list(node, place)
        chosen = self._choosable(node, place)
        if every is None or not chosen:
            yield from [every] if every else []
            return
        name = chooser_of(node)
        for target, values in choosable(chosen, self._words):
            named = self._list(self._pointers.at(target, place), target)
            if named is not None:
                yield {"if": has(name, values), "then": named}
        yield {"if": has(name, [value for values in chosen.values() for value in values]), "else": every}

    def _list(self, node: Json, place: str) -> JsonObject | None:
        """A reference to the list of a place's field names; None if others are expected."""
        fields = self._fields.of(node, place)
        if fields.open or not (fields.names or fields.patterns) or fields.patterns & self._bad_patterns:
            return None
        name = f"{NAMED} {place}"
        self.definitions[name] = {
            "properties": dict.fromkeys(sorted(occurring(fields.names, self._words)), True),
            "patternProperties": dict.fromkeys(sorted(fields.patterns), True),
            "additionalProperties": False,
        }
        return {"$ref": "#/$defs/" + _fragment(name)}

    def _choosable(self, node: JsonObject, place: str) -> dict[str, list[str]]:
        """Schemas of which a discriminator chooses exactly one → their values."""
        if "discriminator" not in node:
            return {}
        if not _alternatives_of(node):
            return self._fields.heirs(node, place)
        if node.keys() & _OF_FIELDS or ("oneOf" in node and "anyOf" in node):
            return {}
        branches = [(schema, place) for schema in array_in(node, "oneOf") or array_in(node, "anyOf")]
        return self._chosen(node, branches) or {}

    def _branch(self, node: Json, place: str) -> Schema:
        if isinstance(node, dict) and "$ref" in node:
            if not self._is_31 or len(node) == 1:
                return self._reference(self._target(node, place), _Meant.BRANCH)
            reference = self._reference(self._target(node, place), _Meant.BRANCH)
            return {**self._keywords(node, place), **reference}
        return self._with_heirs(node, place)

    def _with_heirs(self, node: Json, place: str) -> Schema:
        if isinstance(node, dict) and "$ref" in node:
            return self._branch(node, place)
        converted = self._beside(node, place)
        if not isinstance(node, dict) or "discriminator" not in node or _alternatives_of(node):
            return converted
        name = chooser_of(node)
        heirs = self._fields.heirs(node, place)
        return {"allOf": [converted, *self._choices(name, heirs, _Meant.BESIDE)]}

    def _choices(self, name: str, targets: dict[str, list[str]], meant: _Meant) -> Iterator[JsonObject]:
        for target, values in choosable(targets, self._words):
            yield {"if": has(name, values), "then": self._reference(target, meant)}

    def _beside(self, node: Json, place: str, hidden: frozenset[str] = frozenset()) -> Schema:
        if not isinstance(node, dict):  # true or false: the survey has refused anything else
            self._count()
            return node is not False
        if "$ref" not in node:
            return self._keywords(node, place, hidden)
        reference = self._reference(self._target(node, place), _Meant.BESIDE)
        if not self._is_31:  # siblings of $ref are ignored
            return reference
        return {**self._keywords(node, place, hidden), **reference}

    def _keywords(self, node: JsonObject, place: str, hidden: frozenset[str] = frozenset()) -> JsonObject:
        self._count()
        hidden = hidden | self._fields.of(node, place).hidden[self._other]
        converted = of_value(node, self._reads, self._bad_patterns, self._doubtful)
        if self._doubtful and (UNKNOWN in node or (self._is_31 and "$dynamicRef" in node)):
            converted["not"] = True
        self._properties(node, place, hidden, converted)
        self._items(node, place, converted)
        self._conditions(node, place, converted)
        self._combine(node, place, hidden, converted)
        if self._nulls or (node.get("nullable") is True and not self._is_31):
            return nullable(converted)
        return converted

    def _count(self) -> None:
        self.size += 1
        if self.size > MAX_SCHEMAS:
            raise TooLarge

    def _properties(
        self, node: JsonObject, place: str, hidden: frozenset[str], converted: JsonObject
    ) -> None:
        said: JsonObject = {
            "required": [name for name in dict.fromkeys(texts_in(node, "required")) if name not in hidden],
            "properties": self._named(node, place, hidden),
            "patternProperties": self._patterned(node, place),
        }
        converted |= {keyword: value for keyword, value in said.items() if value}
        for keyword in filter(self._reads, _BELOW):
            convert = self._hard if keyword.startswith("unevaluated") else self._location
            if keyword in node:
                converted[keyword] = convert(node[keyword], under(place, keyword))
        if converted.get("additionalProperties") is False and "patternProperties" not in converted:
            converted.setdefault("properties", {})  # without it errors do not name the field

    def _named(self, node: JsonObject, place: str, hidden: frozenset[str]) -> JsonObject:
        described = object_in(node, "properties")
        return {
            name: self._property(
                described[name], under(place, "properties", name), self._soft and name in hidden
            )
            for name in occurring(described, self._words)
        }

    def _patterned(self, node: JsonObject, place: str) -> JsonObject:
        """Fields by pattern; any field is in doubt if an unsupported pattern may match it."""
        patterns = object_in(node, "patternProperties") if self._is_31 else {}
        schemas: JsonObject = {
            pattern: self._location(schema, under(place, "patternProperties", pattern))
            for pattern, schema in patterns.items()
            if pattern not in self._bad_patterns
        }
        if self._doubtful and self._bad_patterns & patterns.keys():
            schemas[""] = False
        return schemas

    def _property(self, node: Json, place: str, refused: bool) -> Schema:
        if not refused:
            return self._location(node, place)
        self.definitions[REFUSED] = False
        return {"$ref": "#/$defs/" + REFUSED}

    def _items(self, node: JsonObject, place: str, converted: JsonObject) -> None:
        if not self._is_31:
            return
        first = array_in(node, "prefixItems")
        if first:
            converted["prefixItems"] = [
                self._location(schema, under(place, "prefixItems", i)) for i, schema in enumerate(first)
            ]
        for keyword in ("contains", "propertyNames"):
            if keyword in node:
                converted[keyword] = self._hard(node[keyword], under(place, keyword))

    def _conditions(self, node: JsonObject, place: str, converted: JsonObject) -> None:
        for keyword in filter(self._reads, ("not", "if")):
            if keyword in node:
                converted[keyword] = self._hard(node[keyword], under(place, keyword))
        for keyword in filter(self._reads, ("then", "else")):
            if keyword in node:
                converted[keyword] = self._beside(node[keyword], under(place, keyword))
        dependent = object_in(node, "dependentSchemas") if self._is_31 else {}
        if dependent:
            converted["dependentSchemas"] = {
                name: self._beside(schema, under(place, "dependentSchemas", name))
                for name, schema in dependent.items()
            }

    def _hard(self, node: Json, place: str) -> Schema:
        """No soft errors where one would invert a result."""
        soft, self._soft = self._soft, False
        converted = self._beside(node, place)
        self._soft = soft
        return converted

    def _combine(self, node: JsonObject, place: str, hidden: frozenset[str], converted: JsonObject) -> None:
        parts: list[Json] = [
            self._beside(schema, under(place, "allOf", i), hidden)
            for i, schema in enumerate(array_in(node, "allOf"))
        ]
        for keyword in ("oneOf", "anyOf"):
            if node.get(keyword):
                alternatives = self._alternatives(node, keyword, place)
                if isinstance(alternatives, dict) and alternatives.keys() <= {keyword}:
                    converted.update(alternatives)
                else:
                    parts.append(alternatives)
        if parts:
            converted["allOf"] = parts

    def _alternatives(self, node: JsonObject, keyword: str, place: str) -> Schema:
        places = [(schema, under(place, keyword, i)) for i, schema in enumerate(array_in(node, keyword))]
        others = [(schema, at) for schema, at in places if not is_null(schema)]
        converted: Schema
        targets = self._chosen(node, others)
        if targets is not None:
            converted = self._by_choice(node, targets, keyword, others)
        elif len(others) == 1:
            converted = self._branch(*others[0])
        else:
            converted = self._by_trial(keyword, others or places)
        if not others or len(others) == len(places):
            return converted
        return {"if": {"type": "null"}, "else": converted}

    def _by_trial(self, keyword: str, branches: list[tuple[Json, str]]) -> JsonObject:
        self._branching.update([self._current] if self._current else [])
        return {keyword: [self._branch(*branch) for branch in branches]}

    def _by_choice(
        self, node: JsonObject, targets: dict[str, list[str]], keyword: str, branches: list[tuple[Json, str]]
    ) -> JsonObject:
        """The discriminator's value chooses; if it is optional, its absence is no error."""
        name = chooser_of(node)
        chosen = has(name, [value for found in targets.values() for value in found])
        choices: list[Json] = [*self._choices(name, targets, _Meant.BRANCH)]
        if choices:
            chosen["allOf"] = choices
        if all(self._fields.demands(*branch, name) for branch in branches):
            return chosen
        trial = self._by_trial(keyword, branches)
        return {"if": {"type": "object", "required": [name]}, "then": chosen, "else": trial}

    def _chosen(self, node: JsonObject, branches: list[tuple[Json, str]]) -> dict[str, list[str]] | None:
        """Branch → the discriminator's values that choose it; None if it cannot choose."""
        if "discriminator" not in node:
            return None
        references = [(schema, at) for schema, at in branches if is_reference(schema)]
        if len(references) < len(branches):
            return None
        targets = self._fields.heirs(node, "")
        taken = {value for values in targets.values() for value in values}
        for schema, at in references:
            target = self._target(schema, at)
            values = targets.setdefault(target, [])
            if component_name(target) not in taken:
                values.append(component_name(target))
        return {target: values for target, values in targets.items() if values}


def _alternatives_of(node: JsonObject) -> bool:
    return bool(node.get("oneOf") or node.get("anyOf"))


def _fragment(name: str) -> str:
    """A definition's name in a URI fragment's JSON pointer."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.~") else _percent(c) for c in escape(name))


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())
