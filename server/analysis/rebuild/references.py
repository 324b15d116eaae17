"""Resolves local references of a document."""

from __future__ import annotations

from server.analysis.json import Json, JsonObject

MOST_STEPS = 64  # of references followed


def resolved(document: JsonObject, node: Json) -> JsonObject:
    """The object itself or the target of its reference; empty if the reference is not local."""
    for _ in range(MOST_STEPS):
        if not isinstance(node, dict):
            return {}
        target = node.get("$ref")
        if not isinstance(target, str):
            return node
        if not target.startswith("#/"):
            return {}
        node = document
        for step in target[2:].split("/"):
            node = node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
    return {}
