"""JSON values as a type, and access to members of an object by the expected kind.

Documents are untrusted: any value may be of any kind. Here a value of another kind counts as absent;
`specs/document/checks.py` refuses it.
"""

from __future__ import annotations

from typing import TypeAlias

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
JsonObject: TypeAlias = dict[str, Json]


def object_in(node: JsonObject, key: str) -> JsonObject:
    """The object at `key`; empty if there is none."""
    value = node.get(key)
    return value if isinstance(value, dict) else {}


def array_in(node: JsonObject, key: str) -> list[Json]:
    """The array at `key`; empty if there is none."""
    value = node.get(key)
    return value if isinstance(value, list) else []


def texts_in(node: JsonObject, key: str) -> list[str]:
    """The strings of the array at `key`."""
    return [value for value in array_in(node, key) if isinstance(value, str)]


def text_in(node: JsonObject, key: str) -> str | None:
    """The string at `key`."""
    value = node.get(key)
    return value if isinstance(value, str) else None


def is_deeper(value: Json, depth: int) -> bool:
    """Whether a value's collections nest deeper."""
    level = [value]
    while level and depth >= 0:
        depth -= 1
        level = [
            below
            for one in level
            if isinstance(one, (dict, list))
            for below in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)
