"""Keywords of OpenAPI's schemas that need no context → JSON Schema 2020-12."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Schema = Json | bool

_COPIED = (
    *("type", "format", "enum", "const", "maximum", "minimum", "multipleOf", "maxLength", "minLength"),
    *("maxItems", "minItems", "uniqueItems", "minContains", "maxContains"),
    *("maxProperties", "minProperties", "dependentRequired"),
)
FITS_NOTHING = r"[^\s\S]"
_INTEGERS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}


def of_value(
    node: Json, reads: Callable[[str], bool], bad_patterns: frozenset[str], doubtful: bool = False
) -> Json:
    """The keywords that speak of one value alone. `reads`: whether this OpenAPI has a keyword; a bad
    pattern fits every text, or none where `doubtful`.
    """
    converted = {key: node[key] for key in _COPIED if key in node and reads(key)}
    if node.get("format") == "int-or-string" and node.get("type") == "string":  # Kubernetes'
        converted["type"] = ["string", "integer"]
    if isinstance(node.get("type"), list):
        converted["type"] = list(dict.fromkeys(node["type"]))
    if "dependentRequired" in converted:
        needs = node["dependentRequired"].items()
        converted["dependentRequired"] = {name: list(dict.fromkeys(names)) for name, names in needs}
    if "pattern" in node and node["pattern"] not in bad_patterns:
        converted["pattern"] = node["pattern"]
    elif "pattern" in node and doubtful:
        converted["pattern"] = FITS_NOTHING
    for bound, exclusive in (("maximum", "exclusiveMaximum"), ("minimum", "exclusiveMinimum")):
        if node.get(exclusive) is True and bound in converted:
            converted[exclusive] = converted.pop(bound)
        elif exclusive in node and not isinstance(node[exclusive], bool):
            converted[exclusive] = node[exclusive]
    if _types(node) & {"integer", "number"} and node.get("format") in _INTEGERS:
        low, high = _INTEGERS[converted.pop("format")]
        converted["minimum"] = max(low, converted.get("minimum", low))
        converted["maximum"] = min(high, converted.get("maximum", high))
    return converted


def _types(node: Json) -> set[str]:
    types = node.get("type", ())
    return {types} if isinstance(types, str) else set(types)


def nullable(converted: Json) -> Json:
    """Null is allowed too, also where an enum forgets it or a part has no room for it."""
    if converted.keys() & {"allOf", "oneOf", "anyOf", "not", "if", "$ref"}:
        return {"if": {"type": "null"}, "else": converted}
    if "type" in converted:
        kinds = converted["type"]
        converted["type"] = list(dict.fromkeys([*([kinds] if isinstance(kinds, str) else kinds), "null"]))
    if "enum" in converted and None not in converted["enum"]:
        converted["enum"] = [*converted["enum"], None]
    return converted


def is_null(node: Any) -> bool:
    return isinstance(node, dict) and node.get("type") in ("null", ["null"]) and "$ref" not in node


def has(name: str, values: list[str]) -> Json:
    """A condition: an object whose field has one of these values."""
    return {"type": "object", "required": [name], "properties": {name: {"enum": values}}}
