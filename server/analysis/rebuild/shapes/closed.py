"""Schemas whose objects have only the named fields, to compare what two schemas say."""

from __future__ import annotations

from server.analysis.json import Json, JsonObject


def closed(schema: JsonObject) -> JsonObject:
    """The schema with closed objects, at every depth."""
    found = {key: _closed(value) for key, value in schema.items()}
    if (
        isinstance(schema.get("properties"), dict)
        and schema.get("type")
        and "additionalProperties" not in schema
    ):
        found["additionalProperties"] = False
    return found


def _closed(node: Json) -> Json:
    if isinstance(node, list):
        return [_closed(one) for one in node]
    return closed(node) if isinstance(node, dict) else node
