"""Finds the placeholders in a record's values: only their type and format are learned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from agent.wire import Record
from server.analysis.rebuild.shapes.values import Hidden, Value

LONGEST_POINTER = 256  # characters; the agent cuts longer ones

Tree: TypeAlias = "dict[str, Tree | None]"
"""Steps of pointers; None where one ends."""


class Masked:
    """The masks of one record."""

    __slots__ = ("_all", "_places")

    def __init__(self, record: Record) -> None:
        self._all = record.masks_left_out > 0
        self._places: dict[str, set[str]] = {}
        for mask in record.masks:
            pointer = mask.pointer.lower() if mask.where.endswith("header") else mask.pointer
            self._places.setdefault(mask.where, set()).add(pointer)

    def segments(self) -> frozenset[int]:
        """Indices of the path's segments that are placeholders."""
        places = self._places.get("path", ())
        return frozenset(int(place) for place in places if place.isdecimal() and len(place) < 6)

    def text(self, where: str, name: str, text: str) -> str | Hidden:
        """The text; Hidden if it is a placeholder."""
        return Hidden(text) if self._all or name in self._places.get(where, ()) else text

    def hides_any(self, where: str) -> bool:
        """Whether something in a body is, or may be, a placeholder."""
        return self._all or where in self._places

    def json(self, where: str, value: Value) -> Value:
        """A body's value with placeholders hidden; all of it if masks were left out."""
        pointers = self._places.get(where, ())
        if self._all or any(len(pointer) >= LONGEST_POINTER for pointer in pointers):
            return _hidden(value)
        return _hidden_at(value, _tree(pointers)) if pointers else value


def _tree(pointers: Iterable[str]) -> Tree | None:
    root: Tree = {}
    for pointer in pointers:
        _, *steps = pointer.split("/")
        if not steps:
            return None
        _plant(root, [step.replace("~1", "/").replace("~0", "~") for step in steps])
    return root


def _plant(node: Tree, steps: list[str]) -> None:
    *parents, last = steps
    for step in parents:
        below = node.setdefault(step, {})
        if below is None:  # all of it is hidden
            return
        node = below
    node[last] = None


def _hidden_at(value: Value, tree: Tree | None) -> Value:
    """A value in which everything at and below the end of the steps is hidden; its structure stays."""
    if tree is None:
        return _hidden(value)
    if isinstance(value, dict):
        return {key: _hidden_at(one, tree[key]) if key in tree else one for key, one in value.items()}
    if isinstance(value, list):
        return [
            _hidden_at(one, tree[key]) if (key := str(at)) in tree else one for at, one in enumerate(value)
        ]
    return value


def _hidden(value: Value) -> Value:
    if isinstance(value, dict):
        return {key: _hidden(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_hidden(one) for one in value]
    return Hidden(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else value
