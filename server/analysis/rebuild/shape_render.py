"""A place's counts → JSON Schema 2020-12: what all of them had in common, and no more than they show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce
from math import sqrt
from typing import Any, Protocol

from server.analysis.rebuild.discriminate import discriminator
from server.analysis.rebuild.shape_model import NO_NUMBER, NO_TEXT, Shape
from server.analysis.rebuild.shape_objects import Field, Objects, Variant
from server.analysis.rebuild.shape_state import dump, load
from server.analysis.rebuild.shape_texts import HOSTNAME, INTEGER, NUMBER, WIRE, format_of

Json = dict[str, Any]

ENOUGH_FOR_ENUM = 10  # strings at a place
ENOUGH_FOR_FORMAT = 3
ENOUGH_FOR_TYPE = 2  # texts that read as a number or boolean
ENOUGH_FOR_REQUIRED = 10  # objects, all of which have the key
RARE = 3  # times that a text was seen, below which it is rare
ENOUGH_FOR_CONSTANT = 50  # strings, where all are the same text
MOST_IN_ENUM = 32  # texts; what has more is put together of words
MOST_VARIANTS = 3  # alternatives of one place; with more they are one
MANY_KEYS = 64  # keys alike in value that make a map of even one object
SOME_KEYS = 8  # keys that a place needs to be a map at all
SPARSE = 0.4  # of a map's keys, the part that an object has at most on average

_HOST_NAMES = ("host", "domain", "fqdn", "dnsname")


class Shared(Protocol):
    """Where objects go that more than one place holds."""

    def place(self, name: str, variant: Variant, found: Json) -> Json:
        """The schema of an object, or a reference to it."""
        ...

    def named(self, name: str, found: Json) -> Json:
        """A reference to a schema, which must have a name."""
        ...


@dataclass(frozen=True, slots=True)
class Style:
    """`evidence` writes counts and times beside statements. `wire`: strings are texts of parameters, which
    may stand for numbers. `shared` may put an object elsewhere and answer a reference to it.
    """

    evidence: bool = True
    wire: bool = False
    shared: Shared | None = None


def schema(shape: Shape, name: str, style: Style) -> Json:
    """The schema of a place; `name` is the field's, or says what it is."""
    if shape.unknown or shape.count == shape.nulls:  # what is always null may be anything at another time
        return {}
    found: Json = {}
    types: list[str] = []
    scalars = _scalars(shape, name, style)
    types += scalars.pop("type", [])
    found.update(scalars)
    if shape.arrays:
        types.append("array")
        found["items"] = _items(shape, name, style)
    alternatives = _objects(shape.objects, name, style) if shape.objects else []
    if shape.nulls:
        types.append("null")
        if "enum" in found:
            found["enum"].append(None)
    if not alternatives:
        return {"type": types[0] if len(types) == 1 else types, **found}
    if len(alternatives) == 1 and "type" in alternatives[0]:
        (only,) = alternatives
        only.pop("type")
        types.insert(len(types) - bool(shape.nulls), "object")
        return {"type": types[0] if len(types) == 1 else types, **found, **only}
    others = [{"type": types[0] if len(types) == 1 else types, **found}] if types else []
    if len(alternatives) == 1 and not others:
        return alternatives[0]
    return {"oneOf" if not others else "anyOf": alternatives + others}


def _scalars(shape: Shape, name: str, style: Style) -> Json:
    strings = shape.all_strings
    types: list[str] = []
    found: Json = {}
    wired = strings >= ENOUGH_FOR_TYPE and style.wire and shape.fits & WIRE
    if wired:
        types.append(_wire_type(shape.fits))
    elif strings:
        types.append("string")
        found.update(_string(shape, name, strings, style.wire))
    if shape.numbers:
        types.append("number")
    elif shape.integers:
        types.append("integer")
    if shape.booleans:
        types.append("boolean")
    if style.evidence and types:
        found.update(_examples(shape, types, found))
    return {"type": types, **found} if types else {}


def _wire_type(fits: int) -> str:
    if fits & INTEGER:
        return "integer"
    return "number" if fits & NUMBER else "boolean"


def _string(shape: Shape, name: str, strings: int, wire: bool) -> Json:
    bits = shape.fits & ~WIRE
    plain = name.replace("_", "").replace("-", "").lower()
    if bits & HOSTNAME and not plain.endswith(_HOST_NAMES):
        bits &= ~HOSTNAME
    format_ = format_of(bits) if strings >= ENOUGH_FOR_FORMAT else None
    if format_ is not None:
        return {"format": format_}
    scalars = shape.integers or shape.numbers or shape.booleans or shape.arrays or shape.objects
    if not scalars and _is_enum(shape, strings):
        return {"enum": sorted(shape.texts or ())}
    return {}


def _is_enum(shape: Shape, strings: int) -> bool:
    """Few distinct texts, none of them masked, and none of them rare: rare ones foretell others that were not
    seen yet (Good and Turing).
    """
    texts = shape.texts
    if not texts or shape.hidden or strings < (ENOUGH_FOR_ENUM if len(texts) > 1 else ENOUGH_FOR_CONSTANT):
        return False
    return len(texts) <= min(sqrt(strings), MOST_IN_ENUM) and min(texts.values()) >= RARE


def _examples(shape: Shape, types: list[str], found: Json) -> Json:
    """One real value; none where the agent masked some, and none that the schema names anyway."""
    if shape.hidden or "enum" in found or len(types) > 1:
        return {}
    if types[0] == "string" and shape.least not in ("", NO_TEXT):
        return {"examples": [shape.least]}
    if types[0] in ("integer", "number") and shape.low != NO_NUMBER and not shape.all_strings:
        return {"examples": [shape.low]}
    return {}


def _items(shape: Shape, name: str, style: Style) -> Json:
    if shape.items is None or shape.open:
        return {}
    return schema(shape.items, singular(name), style)


def _objects(objects: Objects, name: str, style: Style) -> list[Json]:
    """One schema for each variant."""
    objects.settle()
    known = [variant for variant in objects.variants if variant.count]
    variants = sorted(known, key=lambda variant: sorted(variant.fields))  # whatever came first
    if not variants:
        return []
    others = objects.others
    closed = others is None and not objects.open and style.shared is not None
    by = discriminator(variants) if closed and 1 < len(variants) <= MOST_VARIANTS else {}
    if not by and (len(variants) > MOST_VARIANTS or not _are_apart(variants)):
        variants = [together(variants)]
    if len(variants) == 1 and is_map(variants[0], others):
        values = [field.shape for field in variants[0].fields.values()] + ([others] if others else [])
        additional = {} if objects.open else schema(merged(values), singular(name), style)
        return [{"type": "object", "additionalProperties": additional}]
    for key, texts in by.items():
        return [_by_choice(key, texts, variants, name, style)]
    return [_object(variant, others, objects.open, name, style) for variant in variants]


def _are_apart(variants: list[Variant]) -> bool:
    """Whether each variant has a key that is always there, and in no other: else what is wrong with an object
    of one would hide behind another.
    """
    return len(variants) == 1 or all(
        any(
            all(key not in other.fields for other in variants if other is not one)
            for key in required_keys(one)
        )
        for one in variants
    )


def _by_choice(key: str, texts: list[list[str]], variants: list[Variant], name: str, style: Style) -> Json:
    """Variants that a key's text tells apart."""
    assert style.shared is not None
    branches, mapping = [], {}
    for variant, known in zip(variants, texts, strict=True):
        found = _object(variant, None, False, name, replace(style, shared=None))
        found["properties"][key] |= {"type": "string", "enum": known}
        found["properties"][key].pop("examples", None)
        found["required"] = sorted({key, *found.get("required", ())})
        branches.append(style.shared.named(f"{name} {known[0]}", found))
        mapping.update(dict.fromkeys(known, branches[-1]["$ref"]))
    return {"oneOf": branches, "discriminator": {"propertyName": key, "mapping": mapping}}


def _object(variant: Variant, others: Shape | None, open_: bool, name: str, style: Style) -> Json:
    found = object_schema(variant, style)
    if open_:
        found["additionalProperties"] = {}
    elif others is not None:
        found["additionalProperties"] = schema(others, singular(name), style)
    elif style.shared is not None:
        return style.shared.place(name, variant, found)
    return found


def object_schema(variant: Variant, style: Style) -> Json:
    """The schema of objects of one kind."""
    found: Json = {"type": "object"}
    required = required_keys(variant)
    if required:
        found["required"] = required
    if variant.fields:
        found["properties"] = {
            key: _property(field, key, style) for key, field in sorted(variant.fields.items())
        }
    return found


def required_keys(variant: Variant) -> list[str]:
    """Keys that every object had, where there were enough."""
    if variant.count < ENOUGH_FOR_REQUIRED:
        return []
    return sorted(key for key, field in variant.fields.items() if field.count == variant.count)


def _property(field: Field, key: str, style: Style) -> Json:
    found = schema(field.shape, key, style)
    if style.evidence:
        found["x-spectap"] = evidence(field.count, field.first, field.last)
    return found


def evidence(count: int, first: int, last: int) -> Json:
    """How often a statement was seen to hold, first and last (RFC 3339, whole seconds)."""
    return {"count": count, "first": _moment(first), "last": _moment(last)}


def _moment(ns: int) -> str:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_map(variant: Variant, others: Shape | None) -> bool:
    """Whether the keys are values: many, each in few objects, and all hold the like."""
    fields = variant.fields.values()
    if not fields:
        return others is not None
    if len(fields) < SOME_KEYS:
        return False
    fill = sum(field.count for field in fields) / (variant.count * len(fields))
    sparse = variant.count > 1 and fill <= SPARSE and max(f.count for f in fields) < variant.count
    return (sparse or len(fields) >= MANY_KEYS) and _is_one_kind([field.shape for field in fields])


def _is_one_kind(shapes: list[Shape]) -> bool:
    """Whether places hold values of one type; objects of common keys."""
    kinds = {kind_of_values(shape) for shape in shapes} - {frozenset()}
    if len(kinds) != 1:
        return False
    if kinds != {frozenset({"object"})}:
        return True
    keys = [
        {key for variant in shape.objects.variants for key in variant.fields}
        for shape in shapes
        if shape.objects
    ]
    every = set().union(*keys)
    return 2 * sum(map(len, keys)) >= len(every) * len(keys)


def kind_of_values(shape: Shape) -> frozenset[str]:
    """The types of a place's values but null."""
    held = {
        "string": shape.all_strings,
        "number": shape.integers or shape.numbers,
        "boolean": shape.booleans,
        "array": shape.arrays,
        "object": shape.objects is not None,
    }
    return frozenset(kind for kind, holds in held.items() if holds)


def merged(shapes: list[Shape]) -> Shape:
    """One place with all that several have learnt, which stay as they are."""
    if len(shapes) == 1:
        return shapes[0]
    return reduce(_absorbed, (load(dump(shape)) for shape in shapes), Shape())


def _absorbed(one: Shape, other: Shape) -> Shape:
    one.absorb(other)
    return one


def together(variants: list[Variant]) -> Variant:
    """One variant with all that several have learnt, which stay as they are."""
    if len(variants) == 1:
        return variants[0]
    found = Variant()
    for variant in variants:
        copy = Variant()
        copy.see(variant.count, variant.first, variant.last)
        copy.fields = {
            key: Field(load(dump(field.shape)), field.count, field.first, field.last)
            for key, field in variant.fields.items()
        }
        found.absorb(copy)
    return found


def singular(name: str) -> str:
    """The word for one of what a plural names."""
    lower = name.lower()
    if lower.endswith("ies") and len(name) > 4:
        return name[:-3] + "y"
    if lower.endswith(("sses", "xes", "zes", "ches", "shes")):
        return name[:-2]
    if lower.endswith("s") and not lower.endswith(("ss", "us", "is")) and len(name) > 3:
        return name[:-1]
    return name
