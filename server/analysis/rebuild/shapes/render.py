"""A place's counts → JSON Schema 2020-12: what all values have in common, and no more than they show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from server.analysis.json import Json, JsonObject, object_in
from server.analysis.rebuild.shapes.discriminate import Discriminator, discriminator
from server.analysis.rebuild.shapes.model import ObjectField, Objects, Shape, Variant
from server.analysis.rebuild.shapes.scalars import scalars
from server.analysis.rebuild.shapes.variants import (
    MOST_VARIANTS,
    alternatives,
    is_map,
    merged,
    required_keys,
    seen_variants,
)
from server.analysis.rebuild.singular import singular


class SharedSchemas(Protocol):
    """Collects objects that occur at several places."""

    def place(self, name: str, variant: Variant, found: JsonObject) -> JsonObject:
        """The schema of an object, or a reference to a shared one."""
        ...

    def named(self, name: str, found: JsonObject) -> str:
        """A reference to a schema, which must have a name."""
        ...


@dataclass(frozen=True, slots=True)
class Style:
    """`evidence` adds counts and times to statements. `wire`: strings are texts of parameters, which may
    represent numbers. `shared` may place an object elsewhere and return a reference.
    """

    evidence: bool = True
    wire: bool = False
    shared: SharedSchemas | None = None


def schema(shape: Shape, name: str, style: Style) -> JsonObject:
    """The schema of a place; `name` is the field's name, or describes it."""
    if shape.unknown or shape.count == shape.nulls:  # a value that was always null may be anything
        return {}
    types, found = scalars(shape, name, style.wire, style.evidence)
    if shape.arrays:
        types.append("array")
        found["items"] = _items(shape, name, style)
    if shape.nulls:
        types.append("null")
        texts = found.get("enum")
        if isinstance(texts, list):
            texts.append(None)
    return _combined(types, found, _objects(shape.objects, name, style) if shape.objects else [])


def _combined(types: list[str], found: JsonObject, objects: list[JsonObject]) -> JsonObject:
    """One schema for values that are no objects, by types, and for the variants of objects."""
    if len(objects) == 1 and "type" in objects[0]:
        types.insert(len(types) - ("null" in types), "object")
        return {**_typed(types, found), **{key: said for key, said in objects[0].items() if key != "type"}}
    every = [*objects, _typed(types, found)] if types else objects
    return every[0] if len(every) == 1 else {"anyOf" if types else "oneOf": [*every]}


def _typed(types: list[str], found: JsonObject) -> JsonObject:
    return {"type": types[0] if len(types) == 1 else [*types], **found}


def _items(shape: Shape, name: str, style: Style) -> JsonObject:
    if shape.items is None or shape.open:
        return {}
    return schema(shape.items, singular(name), style)


def _objects(objects: Objects, name: str, style: Style) -> list[JsonObject]:
    """One schema for each variant of objects."""
    known = seen_variants(objects)
    if not known:
        return []
    choice = _choice(objects, known, style)
    if choice is not None and style.shared is not None:
        return [_by_choice(choice, known, name, style, style.shared)]
    variants = alternatives(known)
    if len(variants) == 1 and is_map(variants[0], objects.others):
        return [_map(variants[0], objects, name, style)]
    return [_object(variant, objects, name, style) for variant in variants]


def _choice(objects: Objects, variants: list[Variant], style: Style) -> Discriminator | None:
    """The discriminator of a few variants, if all of their keys are known and they can have names."""
    closed = objects.others is None and not objects.open and style.shared is not None
    return discriminator(variants) if closed and 1 < len(variants) <= MOST_VARIANTS else None


def _by_choice(
    choice: Discriminator, variants: list[Variant], name: str, style: Style, shared: SharedSchemas
) -> JsonObject:
    branches: list[Json] = []
    mapping: JsonObject = {}
    for variant, texts in zip(variants, choice.texts, strict=True):
        reference = shared.named(f"{name} {texts[0]}", _branch(choice.key, texts, variant, style))
        branches.append({"$ref": reference})
        mapping.update(dict.fromkeys(texts, reference))
    return {"oneOf": branches, "discriminator": {"propertyName": choice.key, "mapping": mapping}}


def _branch(key: str, texts: list[str], variant: Variant, style: Style) -> JsonObject:
    """The schema of one variant, with the discriminator's texts."""
    found = object_schema(variant, replace(style, shared=None))
    said = object_in(object_in(found, "properties"), key)
    said |= {"type": "string", "enum": [*texts]}
    said.pop("examples", None)
    found["required"] = [*sorted({key, *required_keys(variant)})]
    return found


def _map(variant: Variant, objects: Objects, name: str, style: Style) -> JsonObject:
    values = [field.shape for field in variant.fields.values()]
    values += [objects.others] if objects.others else []
    additional = {} if objects.open else schema(merged(values), singular(name), style)
    return {"type": "object", "additionalProperties": additional}


def _object(variant: Variant, objects: Objects, name: str, style: Style) -> JsonObject:
    found = object_schema(variant, style)
    if objects.open:
        found["additionalProperties"] = {}
    elif objects.others is not None:
        found["additionalProperties"] = schema(objects.others, singular(name), style)
    elif style.shared is not None:
        return style.shared.place(name, variant, found)
    return found


def object_schema(variant: Variant, style: Style) -> JsonObject:
    """The schema of one variant."""
    found: JsonObject = {"type": "object"}
    required = required_keys(variant)
    if required:
        found["required"] = [*required]
    if variant.fields:
        found["properties"] = {
            key: _property(field, key, style) for key, field in sorted(variant.fields.items())
        }
    return found


def _property(field: ObjectField, key: str, style: Style) -> JsonObject:
    found = schema(field.shape, key, style)
    if style.evidence:
        found["x-spectap"] = evidence(field.count, field.first, field.last)
    return found


def evidence(count: int, first: int, last: int) -> JsonObject:
    """How often a statement held, with the first and last time (RFC 3339, whole seconds)."""
    return {"count": count, "first": _moment(first), "last": _moment(last)}


def _moment(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
