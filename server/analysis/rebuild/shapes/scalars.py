"""What the scalars at one place have in common: type, format, an enum, an example."""

from __future__ import annotations

from math import sqrt

from server.analysis.json import Json, JsonObject
from server.analysis.rebuild.shapes.model import NO_NUMBER, NO_TEXT, Shape
from server.analysis.rebuild.shapes.texts import HOSTNAME, INTEGER, NUMBER, WIRE, format_of

ENOUGH_FOR_ENUM = 10  # strings at a place, before it can have an enum
ENOUGH_FOR_FORMAT = 3
ENOUGH_FOR_TYPE = 2  # texts that all read as a number or boolean, before that is the type
RARE = 3  # a text that occurred less often is rare
ENOUGH_FOR_CONSTANT = 50  # equal strings, before they are a constant
MOST_IN_ENUM = 32  # texts; with more, values are free combinations

_HOST_NAMES = ("host", "domain", "fqdn", "dnsname")


def scalars(shape: Shape, name: str, wire: bool, evidence: bool) -> tuple[list[str], JsonObject]:
    """Types, with their keywords. `wire`: strings may represent numbers; `evidence` adds an example."""
    types: list[str] = []
    found: JsonObject = {}
    strings = shape.all_strings
    if wire and strings >= ENOUGH_FOR_TYPE and shape.fits & WIRE:
        types.append(_wire_type(shape.fits))
    elif strings:
        types.append("string")
        found.update(_string(shape, name, strings))
    if shape.numbers:
        types.append("number")
    elif shape.integers:
        types.append("integer")
    if shape.booleans:
        types.append("boolean")
    if evidence and len(types) == 1:
        found.update(_examples(shape, types[0], found))
    return types, found


def _wire_type(fits: int) -> str:
    if fits & INTEGER:
        return "integer"
    return "number" if fits & NUMBER else "boolean"


def _string(shape: Shape, name: str, strings: int) -> JsonObject:
    bits = shape.fits & ~WIRE
    plain = name.replace("_", "").replace("-", "").lower()
    if bits & HOSTNAME and not plain.endswith(_HOST_NAMES):
        bits &= ~HOSTNAME
    format_ = format_of(bits) if strings >= ENOUGH_FOR_FORMAT else None
    if format_ is not None:
        return {"format": format_}
    others = shape.integers or shape.numbers or shape.booleans or shape.arrays or shape.objects
    if not others and _is_enum(shape, strings):
        texts: list[Json] = [*sorted(shape.texts or ())]
        return {"enum": texts}
    return {}


def _is_enum(shape: Shape, strings: int) -> bool:
    """Whether there are few distinct texts, none masked and none rare: rare ones suggest that further ones
    exist (Good and Turing).
    """
    texts = shape.texts
    if not texts or shape.hidden or strings < (ENOUGH_FOR_ENUM if len(texts) > 1 else ENOUGH_FOR_CONSTANT):
        return False
    return len(texts) <= min(sqrt(strings), MOST_IN_ENUM) and min(texts.values()) >= RARE


def _examples(shape: Shape, type_: str, found: JsonObject) -> JsonObject:
    """One real value as example; none if the agent masked some, or the schema already contains it."""
    if shape.hidden or "enum" in found:
        return {}
    if type_ == "string" and shape.least not in ("", NO_TEXT):
        return {"examples": [shape.least]}
    if type_ in ("integer", "number") and shape.low != NO_NUMBER and not shape.all_strings:
        return {"examples": [shape.low]}
    return {}
