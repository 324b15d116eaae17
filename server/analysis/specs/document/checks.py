"""Reads a document's values with the required type, or raises SpecError with the pointer."""

from __future__ import annotations

from server.analysis.json import Json, JsonObject
from server.analysis.specs.document.pointers import under
from server.analysis.specs.model import SpecError


def mapping(value: Json, place: str) -> JsonObject:
    if not isinstance(value, dict):
        raise SpecError(place, "not an object")
    return value


def sequence(value: Json, place: str) -> list[Json]:
    if not isinstance(value, list):
        raise SpecError(place, "not an array")
    return value


def text(node: JsonObject, key: str, place: str) -> str:
    """A required string."""
    if key not in node:
        raise SpecError(under(place, key), "missing")
    value = node[key]
    if not isinstance(value, str):
        raise SpecError(under(place, key), "not a string")
    return value


def flag(node: JsonObject, key: str, place: str, default: bool = False) -> bool:
    value = node.get(key, default)
    if not isinstance(value, bool):
        raise SpecError(under(place, key), "not true or false")
    return value
