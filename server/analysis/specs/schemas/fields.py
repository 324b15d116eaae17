"""The fields named at a place, by all schemas that apply there together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from server.analysis.json import Json, JsonObject, array_in, object_in, text_in, texts_in
from server.analysis.specs.document.pointers import MAX_HOPS, Pointers, component_name, under
from server.analysis.specs.schemas.survey import mapped

MAX_CLOSURE = 2_000  # schemas that apply at one place; beyond it the place counts as open

Heirs = Mapping[str, tuple[str, ...]]
"""Schema → the component schemas that extend it by `allOf`, directly or not."""


@dataclass(frozen=True, slots=True)
class NamedFields:
    """`open`: unnamed fields are expected; `hidden` are those of the other direction, by marker's name."""

    names: frozenset[str]
    patterns: frozenset[str]
    open: bool
    hidden: Mapping[str, frozenset[str]]


class FieldIndex:
    """Fields by place, each computed once."""

    def __init__(self, pointers: Pointers, is_31: bool, heirs: Heirs) -> None:
        self._pointers, self._is_31, self._heirs = pointers, is_31, heirs
        self._known: dict[str, NamedFields] = {}

    def of(self, node: Json, place: str) -> NamedFields:
        if place not in self._known:
            self._known[place] = self._compute(node, place)
        return self._known[place]

    def _compute(self, node: Json, place: str) -> NamedFields:
        names: set[str] = set()
        patterns: set[str] = set()
        hidden: dict[str, set[str]] = {"readOnly": set(), "writeOnly": set()}
        is_open = False
        for count, (part, at) in enumerate(self.closure(node, place)):
            is_open = is_open or count == MAX_CLOSURE or self._expects_others(part, at)
            if count == MAX_CLOSURE:
                break
            if self._is_31:
                patterns.update(object_in(part, "patternProperties"))
            for name, schema in object_in(part, "properties").items():
                names.add(name)
                for marker in self._markers(schema, under(at, "properties", name)):
                    hidden[marker].add(name)
        markers = {marker: frozenset(found) for marker, found in hidden.items()}
        return NamedFields(frozenset(names), frozenset(patterns), is_open, markers)

    def closure(self, node: Json, place: str) -> Iterator[tuple[JsonObject, str]]:
        """Each schema that may apply where this one does: itself, references, alternatives, heirs."""
        seen: set[str] = set()
        pending = [(place, True)]
        while pending:
            at, heirs = pending.pop()
            part = node if at == place else self._pointers.at(at, place)
            if at in seen or not isinstance(part, dict):
                continue
            seen.add(at)
            if self._is_31 or "$ref" not in part:
                yield part, at
            pending += self._beside(part, at, heirs)

    def demands(self, node: Json, place: str, name: str) -> bool:
        """Whether only an object with a field of this name can conform."""
        is_object, is_required = False, False
        seen: set[str] = set()
        pending = [place]
        while pending:
            at = pending.pop()
            part = node if at == place else self._pointers.at(at, place)
            if at in seen or not isinstance(part, dict):
                continue
            seen.add(at)
            if self._is_31 or "$ref" not in part:
                is_object = is_object or part.get("type") == "object"
                is_required = is_required or name in array_in(part, "required")
                pending += [under(at, "allOf", i) for i in range(len(array_in(part, "allOf")))]
            if "$ref" in part:
                pending.append(self._pointers.target(part["$ref"], at))
        return is_object and is_required

    def _beside(self, node: JsonObject, place: str, heirs: bool) -> Iterator[tuple[str, bool]]:
        """(place, whether heirs may replace it); a schema extended by `allOf` applies itself."""
        if "$ref" in node:
            yield self._pointers.target(node["$ref"], place), heirs
            if not self._is_31:
                return
        for keyword in ("allOf", "oneOf", "anyOf"):
            for i in range(len(array_in(node, keyword))):
                yield under(place, keyword, i), keyword != "allOf"
        if self._is_31:
            for keyword in ("if", "then", "else"):
                if keyword in node:
                    yield under(place, keyword), False
            for name in object_in(node, "dependentSchemas"):
                yield under(place, "dependentSchemas", name), False
        if heirs and "discriminator" in node:
            yield from ((heir, False) for heir in self.heirs(node, place))

    def heirs(self, node: JsonObject, place: str) -> dict[str, list[str]]:
        """Schemas that a discriminator chooses between → the values that choose each."""
        names: dict[str, list[str]] = {}
        for value, target in object_in(object_in(node, "discriminator"), "mapping").items():
            if isinstance(target, str):
                names.setdefault(self._pointers.target(mapped(target), place), []).append(value)
        if not node.get("oneOf") and not node.get("anyOf"):
            for heir in self._heirs.get(place, ()):
                names.setdefault(heir, []).append(component_name(heir))
            names.pop(place, None)
        return names

    def _expects_others(self, node: JsonObject, place: str) -> bool:
        keywords = (
            ("additionalProperties", "unevaluatedProperties") if self._is_31 else ("additionalProperties",)
        )
        if any(node.get(keyword, False) is not False for keyword in keywords):
            return True
        if node.get("x-kubernetes-preserve-unknown-fields") is True:
            return True
        return any(
            self._is_free(branch, under(place, keyword, i))
            for keyword in ("oneOf", "anyOf")
            for i, branch in enumerate(array_in(node, keyword))
        )

    def _is_free(self, node: Json, place: str) -> bool:
        """Whether an alternative accepts any object."""
        _, node = self._pointers.resolve(place, node)
        if not isinstance(node, dict):
            return node is True
        says = node.keys() & {
            "properties", "allOf", "oneOf", "anyOf", "$ref", "required", "not", "if",
            "enum", "const", "patternProperties", "additionalProperties",
        }  # fmt: skip
        return not says and "object" in types_of(node, "object")

    def _markers(self, node: Json, place: str) -> Iterator[str]:
        """`readOnly` and `writeOnly`, here or at the reference's target, also through one `allOf`."""
        for _ in range(MAX_HOPS):
            if not isinstance(node, dict):
                return
            if self._is_31 or "$ref" not in node:
                yield from (marker for marker in ("readOnly", "writeOnly") if node.get(marker) is True)
            if "$ref" in node:
                place = self._pointers.target(node["$ref"], place)
            elif len(array_in(node, "allOf")) == 1:
                place = under(place, "allOf", 0)
            else:
                return
            node = self._pointers.at(place, place)


def types_of(node: JsonObject, *otherwise: str) -> list[str]:
    """The types in `type`; `otherwise` if it is absent."""
    name = text_in(node, "type")
    if name is not None:
        return [name]
    return texts_in(node, "type") if "type" in node else [*otherwise]


def chooser_of(node: JsonObject) -> str:
    """The field with the discriminator's value."""
    return text_in(object_in(node, "discriminator"), "propertyName") or ""


def inheritance(document: JsonObject, pointers: Pointers) -> dict[str, tuple[str, ...]]:
    """For each component schema the ones that extend it by `allOf`, directly or not."""
    homes = {
        "/components/schemas": object_in(object_in(document, "components"), "schemas"),
        "/definitions": object_in(document, "definitions"),
    }
    direct: dict[str, list[str]] = {}
    for home, schemas in homes.items():
        for name, schema in schemas.items():
            heir = under(home, name)
            for named_by, reference in _extended(schema, heir):
                direct.setdefault(pointers.target(reference, named_by), []).append(heir)
    return {
        base: tuple(_descendants(base, direct))
        for base in direct
        if _is_chooser(pointers.at(base, direct[base][0]))
    }


def _extended(schema: Json, place: str) -> Iterator[tuple[str, str]]:
    """(place, reference) of each reference in an `allOf`."""
    for i, part in enumerate(array_in(schema, "allOf") if isinstance(schema, dict) else ()):
        reference = text_in(part, "$ref") if isinstance(part, dict) else None
        if reference is not None:
            yield under(place, "allOf", i, "$ref"), reference


def _is_chooser(schema: Json) -> bool:
    return isinstance(schema, dict) and "discriminator" in schema


def _descendants(base: str, direct: dict[str, list[str]]) -> list[str]:
    found: dict[str, None] = {}
    pending = list(direct[base])
    while pending:
        heir = pending.pop()
        if heir not in found:
            found[heir] = None
            pending += direct.get(heir, ())
    return list(found)
