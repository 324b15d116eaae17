"""A schema of OpenAPI 3.0 or 3.1 → JSON Schema 2020-12, for one direction.

Every schema that is referred to becomes a definition whose name says its part. `soft` adds two things
beside conformity, which errors tell apart by the definition they come from: NAMED lists the fields a
place may have, REFUSED stands for a field of the other direction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Any

from server.analysis.specs.document.pointers import Pointers, is_reference, under
from server.analysis.specs.schemas.fields import FieldIndex, component_name
from server.analysis.specs.schemas.keywords import Json, Schema, has, is_null, nullable, of_value
from server.analysis.specs.schemas.survey import ONLY_31

NAMED, REFUSED = "named", "refused"  # how the names of these definitions begin
MAX_SCHEMAS = 300_000  # of one document and direction; a compiled one takes about 1 KB

_OF_FIELDS = frozenset(
    {"properties", "patternProperties", "additionalProperties", "unevaluatedProperties"}
    | {"allOf", "if", "then", "else", "dependentSchemas"}
)
_BELOW = ("items", "additionalProperties", "unevaluatedItems", "unevaluatedProperties")


class TooLarge(Exception):
    """The schemas of one document are more than MAX_SCHEMAS."""


class Direction(StrEnum):
    REQUEST = "request"
    RESPONSE = "response"


class _Meant(Enum):
    """How a definition means its place."""

    LOCATION = auto()  # it stands for a value in the body: nothing but what it names is expected there
    BRANCH = auto()  # it may stand for a value: a base type may be one of its heirs
    BESIDE = auto()  # it applies beside others


@dataclass(frozen=True, slots=True)
class _Part:
    place: str
    meant: _Meant
    soft: bool


class Converter:
    """Converts schemas of one document for one direction into one set of definitions.

    `references` then has a `$ref` for each root; `branching` are the roots for which alternatives make
    soft findings change what conforms.
    """

    def __init__(
        self,
        pointers: Pointers,
        fields: FieldIndex,
        is_31: bool,
        bad_patterns: frozenset[str],
        direction: Direction,
        nulls: bool = False,
        doubtful: bool = False,
    ) -> None:
        """`doubtful`: where a bad pattern would decide, nothing conforms; else everything does."""
        self._pointers, self._fields, self._is_31 = pointers, fields, is_31
        self._bad_patterns = bad_patterns
        self._nulls = nulls
        self._doubtful = doubtful
        self._other = "readOnly" if direction is Direction.REQUEST else "writeOnly"
        self._names: dict[_Part, str] = {}
        self._users: dict[_Part, set[_Part]] = {}
        self._branching: set[_Part] = set()
        self._pending: list[_Part] = []
        self._current: _Part | None = None
        self._soft = False
        self._size = 0
        self.definitions: dict[str, Schema] = {}
        self.references: dict[str, Json] = {}

    def convert(self, places: Iterable[str], soft: bool) -> frozenset[str]:
        """Converts these roots; answers those that branch. Raises TooLarge."""
        self._soft = soft
        self.references = {place: self._reference(place, _Meant.LOCATION) for place in places}
        while self._pending:
            part = self._current = self._pending.pop()
            self._soft = part.soft
            node = self._pointers.at(part.place, part.place)
            self.definitions[self._names[part]] = self._definition(node, part)
        branching = self._reaching(self._branching)
        return frozenset(part.place for part in branching if part.place in self.references)

    def _definition(self, node: Any, part: _Part) -> Schema:
        match part.meant:
            case _Meant.LOCATION:
                return self._location(node, part.place)
            case _Meant.BRANCH:
                return self._with_heirs(node, part.place)
            case _Meant.BESIDE:
                return self._beside(node, part.place)

    def _reference(self, place: str, meant: _Meant) -> Json:
        part = _Part(place, meant, self._soft)
        if part not in self._names:
            self._names[part] = f"s{len(self._names)}"
            self._pending.append(part)
        if self._current is not None:
            self._users.setdefault(part, set()).add(self._current)
        return {"$ref": "#/$defs/" + self._names[part]}

    def _reaching(self, parts: set[_Part]) -> set[_Part]:
        """The parts, and all that refer to them at any distance."""
        reaching: set[_Part] = set()
        pending = list(parts)
        while pending:
            part = pending.pop()
            if part not in reaching:
                reaching.add(part)
                pending += self._users.get(part, ())
        return reaching

    def _target(self, node: Json, place: str) -> str:
        return self._pointers.target(node["$ref"], place)

    def _reads(self, keyword: str) -> bool:
        return self._is_31 or keyword not in ONLY_31

    # How a place is meant: see _Meant.

    def _location(self, node: Any, place: str) -> Schema:
        if isinstance(node, dict) and "$ref" in node and (not self._is_31 or len(node) == 1):
            return self._reference(self._target(node, place), _Meant.LOCATION)
        converted = self._branch(node, place)
        lists = [*self._lists(node, place)] if self._soft and isinstance(node, dict) else []
        return {"allOf": [converted, *lists]} if lists else converted

    def _lists(self, node: Json, place: str) -> Iterator[Json]:
        """What a place may name: what the schema names, or the one that a discriminator chooses."""
        every = self._list(node, place)
        chosen = self._choosable(node, place)
        if every is None or not chosen:
            yield from [every] if every else []
            return
        name = node["discriminator"]["propertyName"]
        for target, values in chosen.items():
            named = self._list(self._pointers.at(target, place), target)
            if named is not None:
                yield {"if": has(name, values), "then": named}
        yield {"if": has(name, [value for values in chosen.values() for value in values]), "else": every}

    def _list(self, node: Any, place: str) -> Json | None:
        """A reference to the list of names that are known at a place; None where others are expected."""
        fields = self._fields.of(node, place)
        if fields.open or not (fields.names or fields.patterns) or fields.patterns & self._bad_patterns:
            return None
        name = f"{NAMED} {place}"
        self.definitions[name] = {
            "properties": dict.fromkeys(sorted(fields.names), True),
            "patternProperties": dict.fromkeys(sorted(fields.patterns), True),
            "additionalProperties": False,
        }
        return {"$ref": "#/$defs/" + _fragment(name)}

    def _choosable(self, node: Json, place: str) -> dict[str, list[str]]:
        """Schemas of which a discriminator chooses one to say all that is said → their values."""
        if "discriminator" not in node:
            return {}
        if not _alternatives_of(node):
            return self._fields.heirs(node, place)
        if node.keys() & _OF_FIELDS or ("oneOf" in node and "anyOf" in node):
            return {}
        branches = [(schema, place) for schema in node.get("oneOf") or node["anyOf"]]
        return self._chosen(node, branches) or {}

    def _branch(self, node: Any, place: str) -> Schema:
        if isinstance(node, dict) and "$ref" in node:
            if not self._is_31 or len(node) == 1:
                return self._reference(self._target(node, place), _Meant.BRANCH)
            reference = self._reference(self._target(node, place), _Meant.BRANCH)
            return {**self._keywords(node, place), **reference}
        return self._with_heirs(node, place)

    def _with_heirs(self, node: Any, place: str) -> Schema:
        if isinstance(node, dict) and "$ref" in node:
            return self._branch(node, place)
        converted = self._beside(node, place)
        if isinstance(converted, bool) or "discriminator" not in node or _alternatives_of(node):
            return converted
        name = node["discriminator"]["propertyName"]
        heirs = self._fields.heirs(node, place)
        return {"allOf": [converted, *self._choices(name, heirs, _Meant.BESIDE)]}

    def _choices(self, name: str, targets: dict[str, list[str]], meant: _Meant) -> Iterator[Json]:
        for target, values in targets.items():
            yield {"if": has(name, values), "then": self._reference(target, meant)}

    def _beside(self, node: Any, place: str, hidden: frozenset[str] = frozenset()) -> Schema:
        if isinstance(node, bool):
            self._count()
            return node
        if "$ref" not in node:
            return self._keywords(node, place, hidden)
        reference = self._reference(self._target(node, place), _Meant.BESIDE)
        if not self._is_31:  # what stands beside $ref is ignored
            return reference
        return {**self._keywords(node, place, hidden), **reference}

    def _keywords(self, node: Json, place: str, hidden: frozenset[str] = frozenset()) -> Json:
        self._count()
        hidden = hidden | self._fields.of(node, place).hidden[self._other]
        converted = of_value(node, self._reads, self._bad_patterns, self._doubtful)
        self._properties(node, place, hidden, converted)
        self._items(node, place, converted)
        self._conditions(node, place, converted)
        self._combine(node, place, hidden, converted)
        if self._nulls or (node.get("nullable") is True and not self._is_31):
            return nullable(converted)
        return converted

    def _count(self) -> None:
        self._size += 1
        if self._size > MAX_SCHEMAS:
            raise TooLarge

    def _properties(self, node: Json, place: str, hidden: frozenset[str], converted: Json) -> None:
        required = [name for name in dict.fromkeys(node.get("required", ())) if name not in hidden]
        if required:
            converted["required"] = required
        for keyword in filter(self._reads, ("properties", "patternProperties")):
            schemas = {
                name: self._property(schema, under(place, keyword, name), self._soft and name in hidden)
                for name, schema in node.get(keyword, {}).items()
                if keyword == "properties" or name not in self._bad_patterns
            }
            if (
                self._doubtful
                and keyword == "patternProperties"
                and self._bad_patterns & {*node.get(keyword, ())}
            ):
                schemas[""] = False
            if schemas:
                converted[keyword] = schemas
        for keyword in filter(self._reads, _BELOW):
            convert = self._hard if keyword.startswith("unevaluated") else self._location
            if keyword in node:
                converted[keyword] = convert(node[keyword], under(place, keyword))
        if converted.get("additionalProperties") is False and "patternProperties" not in converted:
            converted.setdefault("properties", {})  # or else errors do not name the field

    def _property(self, node: Any, place: str, refused: bool) -> Schema:
        if not refused:
            return self._location(node, place)
        self.definitions[REFUSED] = False
        return {"$ref": "#/$defs/" + REFUSED}

    def _items(self, node: Json, place: str, converted: Json) -> None:
        if not self._is_31:
            return
        if node.get("prefixItems"):
            converted["prefixItems"] = [
                self._location(schema, under(place, "prefixItems", i))
                for i, schema in enumerate(node["prefixItems"])
            ]
        for keyword in ("contains", "propertyNames"):
            if keyword in node:
                converted[keyword] = self._hard(node[keyword], under(place, keyword))

    def _conditions(self, node: Json, place: str, converted: Json) -> None:
        for keyword in filter(self._reads, ("not", "if")):
            if keyword in node:
                converted[keyword] = self._hard(node[keyword], under(place, keyword))
        for keyword in filter(self._reads, ("then", "else")):
            if keyword in node:
                converted[keyword] = self._beside(node[keyword], under(place, keyword))
        if self._is_31 and node.get("dependentSchemas"):
            converted["dependentSchemas"] = {
                name: self._beside(schema, under(place, "dependentSchemas", name))
                for name, schema in node["dependentSchemas"].items()
            }

    def _hard(self, node: Any, place: str) -> Schema:
        """Where a soft finding would turn an answer round, there are none."""
        soft, self._soft = self._soft, False
        converted = self._beside(node, place)
        self._soft = soft
        return converted

    def _combine(self, node: Json, place: str, hidden: frozenset[str], converted: Json) -> None:
        parts = [
            self._beside(schema, under(place, "allOf", i), hidden)
            for i, schema in enumerate(node.get("allOf", ()))
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

    def _alternatives(self, node: Json, keyword: str, place: str) -> Schema:
        places = [(schema, under(place, keyword, i)) for i, schema in enumerate(node[keyword])]
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

    def _by_trial(self, keyword: str, branches: list[tuple[Any, str]]) -> Json:
        self._branching.update([self._current] if self._current else [])
        return {keyword: [self._branch(*branch) for branch in branches]}

    def _by_choice(
        self, node: Json, targets: dict[str, list[str]], keyword: str, branches: list[tuple[Any, str]]
    ) -> Json:
        """The discriminator's value chooses; where no value need be there, its absence is no fault."""
        name = node["discriminator"]["propertyName"]
        chosen = {
            **has(name, [value for found in targets.values() for value in found]),
            "allOf": [*self._choices(name, targets, _Meant.BRANCH)],
        }
        if all(self._fields.demands(*branch, name) for branch in branches):
            return chosen
        trial = self._by_trial(keyword, branches)
        return {"if": {"type": "object", "required": [name]}, "then": chosen, "else": trial}

    def _chosen(self, node: Json, branches: list[tuple[Any, str]]) -> dict[str, list[str]] | None:
        """Branch → the discriminator's values that choose it; None where it cannot choose."""
        if "discriminator" not in node:
            return None
        if not all(is_reference(schema) for schema, _ in branches):
            return None
        targets = self._fields.heirs(node, "")
        taken = {value for values in targets.values() for value in values}
        for schema, at in branches:
            target = self._target(schema, at)
            values = targets.setdefault(target, [])
            if component_name(target) not in taken:
                values.append(component_name(target))
        return {target: values for target, values in targets.items() if values}


def _alternatives_of(node: Json) -> bool:
    return bool(node.get("oneOf") or node.get("anyOf"))


def _fragment(name: str) -> str:
    """A definition's name within a URI fragment's JSON pointer."""
    escaped = name.replace("~", "~0").replace("/", "~1")
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.~") else _percent(c) for c in escaped)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())
