"""Keywords of OpenAPI's schemas that need no context → JSON Schema 2020-12."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.analysis.json import Json, JsonObject, object_in, text_in, texts_in
from server.analysis.specs.schemas.fields import types_of

Schema = JsonObject | bool

_COPIED = (
    *("type", "format", "enum", "const", "maximum", "minimum", "multipleOf", "maxLength", "minLength"),
    *("maxItems", "minItems", "uniqueItems", "minContains", "maxContains"),
    *("maxProperties", "minProperties"),
)
_EXCLUSIVE = {"exclusiveMaximum": "maximum", "exclusiveMinimum": "minimum"}
FITS_NOTHING = r"[^\s\S]"
_INTEGERS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
BASE64 = r"^(?:[A-Za-z0-9+/]{4}|\s)*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\s*$"
"""Of `format: byte` (RFC 4648, section 4); lines may be broken between groups, as in MIME. As a pattern it is
not held against a masked value.
"""
_INT_OR_STRING = "int-or-string"  # Kubernetes'


def of_value(
    node: JsonObject, reads: Callable[[str], bool], bad_patterns: frozenset[str], doubtful: bool = False
) -> JsonObject:
    """The keywords about one value alone. `reads`: whether this OpenAPI version has a keyword; an unsupported
    pattern matches every text, or none if `doubtful`.
    """
    converted = {key: node[key] for key in _COPIED if key in node and reads(key)}
    converted |= _types(node)
    if reads("dependentRequired"):
        converted |= _dependent(node)
    converted |= _pattern(node, bad_patterns, doubtful)
    _exclude(node, converted)
    _limit_integer(node, converted)
    return converted


def _types(node: JsonObject) -> JsonObject:
    if node.get("format") == _INT_OR_STRING and node.get("type") == "string":
        return {"type": ["string", "integer"]}
    return {"type": [*dict.fromkeys(texts_in(node, "type"))]} if isinstance(node.get("type"), list) else {}


def _dependent(node: JsonObject) -> JsonObject:
    needs = object_in(node, "dependentRequired")
    return (
        {"dependentRequired": {name: [*dict.fromkeys(texts_in(needs, name))] for name in needs}}
        if needs
        else {}
    )


def _pattern(node: JsonObject, bad_patterns: frozenset[str], doubtful: bool) -> JsonObject:
    pattern = text_in(node, "pattern")
    if pattern is None and node.get("format") == "byte" and "string" in types_of(node):
        return {"pattern": BASE64}
    if pattern in bad_patterns:
        return {"pattern": FITS_NOTHING} if doubtful else {}
    return {} if pattern is None else {"pattern": pattern}


def _exclude(node: JsonObject, converted: JsonObject) -> None:
    """Exclusive bounds: a boolean beside the bound in 3.0, a number later."""
    for exclusive, bound in _EXCLUSIVE.items():
        if node.get(exclusive) is True and bound in converted:
            converted[exclusive] = converted.pop(bound)
        elif exclusive in node and not isinstance(node[exclusive], bool):
            converted[exclusive] = node[exclusive]


def _limit_integer(node: JsonObject, converted: JsonObject) -> None:
    """Limits integers by their format, which JSON Schema does not validate."""
    limits = _INTEGERS.get(text_in(node, "format") or "")
    if limits is not None and {"integer", "number"}.intersection(types_of(node)):
        del converted["format"]
        low, high = limits
        converted["minimum"] = max(low, _number(converted, "minimum", low))
        converted["maximum"] = min(high, _number(converted, "maximum", high))


def _number(node: JsonObject, key: str, otherwise: int) -> int | float:
    value = node.get(key)
    return value if isinstance(value, (int, float)) else otherwise


def nullable(converted: JsonObject) -> JsonObject:
    """Also allows null, even if an enum or a part excludes it."""
    if converted.keys() & {"allOf", "oneOf", "anyOf", "not", "if", "$ref"}:
        return {"if": {"type": "null"}, "else": converted}
    if "type" in converted:
        converted["type"] = [*dict.fromkeys([*types_of(converted), "null"])]
    values = converted.get("enum")
    if isinstance(values, list) and None not in values:
        converted["enum"] = [*values, None]
    return converted


def is_null(node: Json) -> bool:
    return isinstance(node, dict) and node.get("type") in ("null", ["null"]) and "$ref" not in node


def has(name: str, values: Sequence[str]) -> JsonObject:
    """The condition that an object's field has one of these values."""
    return {"type": "object", "required": [name], "properties": {name: {"enum": [*values]}}}
