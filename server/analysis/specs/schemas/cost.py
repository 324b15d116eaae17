"""Bounds the work that a schema can cause, before any body is validated.

References and combinations multiply: `allOf: [B, B]`, nested thirty times, is a billion checks of one value,
and a schema that refers to itself twice doubles at each level of the body. So each schema gets the depth of
body up to which a value is checked at most MAX_LOAD times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from server.analysis.json import JsonObject, array_in, object_in
from server.analysis.specs.document.pointers import is_reference, under
from server.analysis.specs.schemas.fields import FieldIndex
from server.analysis.specs.schemas.survey import ONLY_31, SchemaSurvey
from server.analysis.specs.schemas.words import Words, choosable, occurring

MAX_LOAD = 2_000
_TOO_MUCH = MAX_LOAD + 1
MAX_CHAIN = 64  # nested schemas that apply at one place
MAX_REPEATS = 50_000  # schemas counted again, because they lie in circles
MAX_BODY_DEPTH = 64
_ANY, _ITEMS = "*", "[]"  # keys of unnamed fields, and of items


class TooCostly(Exception):
    """A value would be checked more than MAX_LOAD times, or too deep."""


@dataclass(slots=True)
class _Expansion:
    """The schemas at one place: their number, nesting, and the schemas below."""

    weight: int = 1
    chain: int = 1
    below: dict[str, list[str]] = field(default_factory=dict)
    circular: bool = False  # cut at a circle: valid only from its start

    def add(self, other: _Expansion) -> None:
        self.weight += other.weight
        self.chain = max(self.chain, other.chain + 1)
        self.circular = self.circular or other.circular
        if self.weight > MAX_LOAD or self.chain > MAX_CHAIN:
            raise TooCostly
        for key, places in other.below.items():
            self.below[key] = self.below.get(key, []) + places


def _widest(choices: list[_Expansion]) -> _Expansion:
    """The maximum of these, since only one will apply."""
    below: dict[str, list[str]] = {}
    for choice in choices:
        for key, places in choice.below.items():
            below[key] = max(below.get(key, []), places, key=len)
    return _Expansion(
        weight=max((choice.weight for choice in choices), default=0) + len(choices),
        chain=max((choice.chain for choice in choices), default=0) + 1,
        below=below,
        circular=any(choice.circular for choice in choices),
    )


@dataclass(frozen=True, slots=True)
class CostLimits:
    """In a body of at most this depth, a value is checked at most `load` times."""

    depth: int
    load: int


class Costs:
    """Limits by place."""

    def __init__(self, surveyed: SchemaSurvey, fields: FieldIndex, words: Words = None) -> None:
        """`words`: no value has other fields, nor other values of discriminators."""
        self._pointers, self._is_31 = surveyed.pointers, surveyed.is_31
        self._fields, self._words = fields, words
        self._expansions: dict[tuple[str, bool], _Expansion] = {}
        self._counted: set[tuple[str, bool]] = set()
        self._repeats = 0

    def limits(self, roots: Iterable[str]) -> dict[str, CostLimits]:
        """Limits of each root; none if not even a flat value can be validated within bounds."""
        roots = list(roots)
        reached = self._reached(roots)
        users = _users(reached)
        loads = {at: expansion.weight if expansion else _TOO_MUCH for at, expansion in reached.items()}
        found = {root: CostLimits(0, loads[root]) for root in roots if loads[root] <= MAX_LOAD}
        rising: Iterable[str] = reached
        for depth in range(1, MAX_BODY_DEPTH + 1):
            changed = _deeper(rising, reached, loads)
            loads |= changed
            for root in found:
                if loads[root] <= MAX_LOAD:
                    found[root] = CostLimits(depth, loads[root])
            if not changed:
                break
            rising = {user for at in changed for user in users.get(at, ())}
        return {
            root: limits if loads[root] > MAX_LOAD else CostLimits(MAX_BODY_DEPTH, limits.load)
            for root, limits in found.items()
        }

    def _reached(self, roots: Iterable[str]) -> dict[str, _Expansion | None]:
        reached: dict[str, _Expansion | None] = {}
        pending = list(roots)
        while pending:
            at = pending.pop()
            if at in reached:
                continue
            try:
                expansion = reached[at] = self._expansion(at, True, set())
            except TooCostly:
                reached[at] = None
            else:
                pending += [below for places in expansion.below.values() for below in places]
        return reached

    def _expansion(self, place: str, heirs: bool, within: set[tuple[str, bool]]) -> _Expansion:
        """The schemas that apply where the one at `place` does. `heirs`: one of its heirs may replace it."""
        key = place, heirs
        if key in self._expansions:
            return self._expansions[key]
        if key in within:
            return _Expansion(circular=True)
        self._repeats += key in self._counted
        self._counted.add(key)
        if len(within) >= MAX_CHAIN or self._repeats > MAX_REPEATS:
            raise TooCostly
        node = self._pointers.at(place, place)
        expansion = _Expansion()
        if isinstance(node, dict):
            within.add(key)
            self._expand(node, place, heirs, within, expansion)
            within.discard(key)
        if not expansion.circular or not within:
            self._expansions[key] = expansion
        return expansion

    def _expand(
        self,
        node: JsonObject,
        place: str,
        heirs: bool,
        within: set[tuple[str, bool]],
        expansion: _Expansion,
    ) -> None:
        if "$ref" in node:
            target = self._pointers.target(node["$ref"], place)
            expansion.add(self._expansion(target, heirs, within))
            if not self._is_31:
                return
        chooses = "discriminator" in node
        alternatives = bool(node.get("oneOf") or node.get("anyOf"))
        for keyword in ("allOf", "oneOf", "anyOf"):
            schemas = array_in(node, keyword)
            parts = [
                self._expansion(under(place, keyword, i), keyword != "allOf", within)
                for i in range(len(schemas))
            ]
            if chooses and keyword != "allOf" and all(map(is_reference, schemas)):
                parts = [_widest(parts)]
            for part in parts:
                expansion.add(part)
        for at_condition in self._conditions(node, place):
            expansion.add(self._expansion(at_condition, False, within))
        if chooses and (heirs or alternatives):
            chosen = choosable(self._fields.heirs(node, place), self._words)
            expansion.add(_widest([self._expansion(heir, alternatives, within) for heir, _ in chosen]))
        for key, below in self._below(node, place):
            expansion.below.setdefault(key, []).append(below)

    def _conditions(self, node: JsonObject, place: str) -> Iterator[str]:
        for keyword in ("not", "if", "then", "else"):
            if keyword in node and (self._is_31 or keyword not in ONLY_31):
                yield under(place, keyword)
        if self._is_31:
            for name in object_in(node, "dependentSchemas"):
                yield under(place, "dependentSchemas", name)

    def _below(self, node: JsonObject, place: str) -> Iterator[tuple[str, str]]:
        """(key, place) of the schemas that this one applies to fields and items."""
        for name in occurring(object_in(node, "properties"), self._words):
            yield "." + name, under(place, "properties", name)
        if self._is_31:
            for name in object_in(node, "patternProperties"):
                yield _ANY, under(place, "patternProperties", name)
            for i in range(len(array_in(node, "prefixItems"))):
                yield f"[{i}]", under(place, "prefixItems", i)
        for keyword, key in (
            ("additionalProperties", _ANY),
            ("unevaluatedProperties", _ANY),
            ("items", _ITEMS),
            ("contains", _ITEMS),
            ("unevaluatedItems", _ITEMS),
        ):
            if keyword in node and (self._is_31 or keyword not in ONLY_31):
                yield key, under(place, keyword)


def _users(reached: dict[str, _Expansion | None]) -> dict[str, set[str]]:
    """Place → the places directly above it."""
    users: dict[str, set[str]] = {}
    for at, expansion in reached.items():
        for places in expansion.below.values() if expansion else ():
            for place in places:
                users.setdefault(place, set()).add(at)
    return users


def _deeper(
    places: Iterable[str], reached: dict[str, _Expansion | None], loads: dict[str, int]
) -> dict[str, int]:
    """The loads that change in a body one level deeper."""
    changed: dict[str, int] = {}
    for place in places:
        expansion = reached[place]
        if expansion is not None:
            load = _load(expansion, loads)
            if load != loads[place]:
                changed[place] = load
    return changed


def _load(expansion: _Expansion, loads: dict[str, int]) -> int:
    others = sum(loads[place] for place in expansion.below.get(_ANY, ()))
    below = (sum(loads[place] for place in places) for places in expansion.below.values())
    return min(max(expansion.weight, others + max(below, default=0)), _TOO_MUCH)
