"""Checks every schema that operations reach, once at load: keyword types, references, patterns.

What is broken is warned of, and replaced by a schema that decides nothing, so that conversion and compilation
cannot fail. Patterns run on a linear-time engine; unsupported ones
(look-around, back-references, too large) are left out and named in a warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeGuard

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError

from server.analysis.json import Json, JsonObject, text_in
from server.analysis.specs.document.checks import mapping, sequence, text
from server.analysis.specs.document.pointers import Pointers, component_name, under
from server.analysis.specs.model import SpecError

UNKNOWN = "x-spectap-unknown"  # marks a schema of which nothing is known
_UNKNOWN_SCHEMA: JsonObject = {UNKNOWN: True, "additionalProperties": True}

PATTERN_OPTIONS = RegexOptions(size_limit=256 * 1024, dfa_size_limit=256 * 1024)
MAX_PATTERNS = 2_000  # distinct ones; each may take size_limit bytes in every validator with it
TYPES = frozenset({"null", "boolean", "object", "array", "number", "string", "integer"})

LISTS = ("allOf", "oneOf", "anyOf", "prefixItems")
MAPS = ("properties", "patternProperties", "dependentSchemas")
SINGLES = (
    "not",
    "if",
    "then",
    "else",
    "items",
    "contains",
    "additionalProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
ONLY_31 = frozenset(
    {"prefixItems", "patternProperties", "dependentSchemas", "if", "then", "else", "contains"}
    | {"propertyNames", "unevaluatedItems", "unevaluatedProperties", "const"}
    | {"minContains", "maxContains", "dependentRequired"}
)


def _is(kind: type | tuple[type, ...]) -> Callable[[Json], bool]:
    return lambda value: isinstance(value, kind)


def _number(value: Json) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _count(value: Json) -> bool:
    return _number(value) and value >= 0 and value == int(value)


def _texts(value: Json) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _type(value: Json) -> bool:
    names: Json = [value] if isinstance(value, str) else value
    return _texts(names) and bool(names) and TYPES.issuperset(names)


_CHECKS: dict[str, tuple[Callable[[Json], bool], str]] = {
    "type": (_type, "not a JSON type, nor a list of them"),
    "multipleOf": (lambda value: _number(value) and value > 0, "not a number above 0"),
    **dict.fromkeys(("maximum", "minimum"), (_number, "not a number")),
    **dict.fromkeys(
        ("exclusiveMaximum", "exclusiveMinimum"), (_is((bool, int, float)), "not a number, true or false")
    ),
    **dict.fromkeys(
        (
            "maxLength",
            "minLength",
            "maxItems",
            "minItems",
            "maxProperties",
            "minProperties",
            "minContains",
            "maxContains",
        ),
        (_count, "not a whole number from 0"),
    ),
    **dict.fromkeys(("pattern", "format"), (_is(str), "not a string")),
    **dict.fromkeys(("uniqueItems", "nullable", "readOnly", "writeOnly"), (_is(bool), "not true or false")),
    "required": (_texts, "not an array of strings"),
    "enum": (_is(list), "not an array"),
    "dependentRequired": (
        lambda value: isinstance(value, dict) and all(map(_texts, value.values())),
        "not an object of arrays of strings",
    ),
}


class SchemaSurvey:
    """Walks schemas from given places; `bad_patterns`, `broken` and warnings grow."""

    def __init__(
        self,
        pointers: Pointers,
        is_31: bool,
        heirs: Mapping[str, tuple[str, ...]],
        warn: Callable[[str], None],
        nulls: bool = False,
    ) -> None:
        """`heirs`: by base type, the schemas that a discriminator may choose instead; `nulls`: null means
        absent, everywhere.
        """
        self.pointers = pointers
        self.heirs = heirs
        self.is_31 = is_31
        self.nulls = nulls
        self._warn = warn
        self.has_dynamic = False  # whether a schema refers to another by $dynamicRef
        self.has_directions = False  # whether schemas differ for requests and responses
        self.words: set[str] = set()  # names of fields, and values of discriminators
        self.broken: dict[str, SpecError] = {}  # by the schema's place
        self._seen: set[str] = set()
        self._sound: set[str] = set()  # targets of references that end at a schema
        self._patterns: dict[str, bool] = {}

    @property
    def bad_patterns(self) -> frozenset[str]:
        return frozenset(pattern for pattern, good in self._patterns.items() if not good)

    @property
    def size(self) -> int:
        """The number of schemas walked."""
        return len(self._seen)

    def walk(self, place: str) -> None:
        """Checks the schema at `place` and all it reaches."""
        pending = [(place, place)]
        while pending:
            at, named_by = pending.pop()
            if at not in self._seen:
                self._seen.add(at)
                try:
                    pending += self._check(self.pointers.at(at, named_by), at)
                except SpecError as error:
                    self.broken[at] = error
                    self._warn(f"{error}; what it describes is not validated")

    def set_apart(self) -> None:
        """Puts a schema that decides nothing in the place of each broken one, once all are walked."""
        if self.broken:
            self.pointers = self.pointers.replaced(self.broken, _UNKNOWN_SCHEMA)

    def _check(self, node: Json, place: str) -> Iterator[tuple[str, str]]:
        """Checks one schema; yields (place, named by) of those directly in it."""
        if isinstance(node, bool):
            return
        if not isinstance(node, dict):
            raise SpecError(place, "a schema is not an object")
        if "$ref" in node:
            at = under(place, "$ref")
            target = self.pointers.target(node["$ref"], at)
            yield target, at
            if target not in self._sound:
                self.pointers.resolve(place, node)  # refuses circular references
                self._sound.add(target)
                self.words.add(component_name(target))
            if not self.is_31 or len(node) == 1:
                return
        for keyword in self._among(_CHECKS, node):
            holds, reason = _CHECKS[keyword]
            if not holds(node[keyword]):
                raise SpecError(under(place, keyword), reason)
        if node.get("readOnly") is True or node.get("writeOnly") is True:
            self.has_directions = True
        pattern = text_in(node, "pattern")
        if pattern is not None:
            self._pattern(pattern, under(place, "pattern"))
        if "$dynamicRef" in node and self.is_31:
            self.has_dynamic = True
            self._warn(f"{place}: $dynamicRef is not followed; what it describes is not validated")
        yield from self._discriminator(node, place)
        for at in self._below(node, place):
            yield at, at

    def _reads(self, keyword: str) -> bool:
        return self.is_31 or keyword not in ONLY_31

    def _below(self, node: JsonObject, place: str) -> Iterator[str]:
        for keyword in self._among(LISTS, node):
            at = under(place, keyword)
            for i, _ in enumerate(sequence(node[keyword], at)):
                yield under(at, i)
        for keyword in self._among(MAPS, node):
            at = under(place, keyword)
            for name in mapping(node[keyword], at):
                self.words.add(name)
                if keyword == "patternProperties":
                    self._pattern(name, under(at, name))
                yield under(at, name)
        for keyword in self._among(SINGLES, node):
            yield under(place, keyword)

    def _among(self, keywords: Iterable[str], node: JsonObject) -> list[str]:
        return [keyword for keyword in keywords if keyword in node and self._reads(keyword)]

    def _discriminator(self, node: JsonObject, place: str) -> Iterator[tuple[str, str]]:
        if "discriminator" not in node:
            return
        at = under(place, "discriminator")
        discriminator = mapping(node["discriminator"], at)
        text(discriminator, "propertyName", at)
        for name, target in mapping(discriminator.get("mapping", {}), under(at, "mapping")).items():
            if not isinstance(target, str):
                raise SpecError(under(at, "mapping", name), "not a string")
            self.words.add(name)
            named_by = under(at, "mapping", name)
            yield self.pointers.target(mapped(target), named_by), named_by
        for heir in self.heirs.get(place, ()):
            self.words.add(component_name(heir))
            yield heir, heir

    def _pattern(self, pattern: str, place: str) -> None:
        if pattern not in self._patterns:
            room = len(self._patterns) < MAX_PATTERNS
            self._patterns[pattern] = room and _compiles(pattern)
            if not self._patterns[pattern]:
                reason = "the linear-time engine cannot run this pattern" if room else "too many patterns"
                self._warn(f"{place}: {reason}; it is not validated")


def mapped(target: str) -> str:
    """The reference in a discriminator's mapping: a bare name is a component's."""
    bare = re.fullmatch(r"[A-Za-z0-9._-]+", target) and not target.endswith((".json", ".yaml", ".yml"))
    return under("#/components/schemas", target) if bare else target


def _compiles(pattern: str) -> bool:
    try:
        Draft202012Validator({"pattern": pattern}, pattern_options=PATTERN_OPTIONS)
    except (ValidationError, ValueError):
        return False
    return True
