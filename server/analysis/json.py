"""JSON values as a type, and what stands in an object where it is of the kind that is expected there.

Documents come from outside: any value may stand anywhere. Whoever has to refuse what is of another kind
does so by `specs/document/checks.py`; here it counts as absent.
"""

from __future__ import annotations

from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
JsonObject: TypeAlias = dict[str, Json]


def object_in(node: JsonObject, key: str) -> JsonObject:
    """The object at `key`; an empty one where there is none."""
    value = node.get(key)
    return value if isinstance(value, dict) else {}


def array_in(node: JsonObject, key: str) -> list[Json]:
    """The array at `key`; an empty one where there is none."""
    value = node.get(key)
    return value if isinstance(value, list) else []


def texts_in(node: JsonObject, key: str) -> list[str]:
    """The strings of the array at `key`."""
    return [value for value in array_in(node, key) if isinstance(value, str)]


def text_in(node: JsonObject, key: str) -> str | None:
    """The string at `key`."""
    value = node.get(key)
    return value if isinstance(value, str) else None
