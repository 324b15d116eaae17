"""Tries as tuples for msgpack, and back; steps convert what earlier versions stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypedDict

from server.analysis.rebuild.templates.nodes import BITS, Fingerprint, Node

VERSION = 3

NodeState: TypeAlias = (
    "tuple[bytes, bytes, str | None, list[tuple[str, Fingerprint, int]], list[tuple[str, NodeState]]]"
)
CountedNode: TypeAlias = (
    "tuple[int, bytes, str | None, list[tuple[str, Fingerprint, int]], list[tuple[str, CountedNode]]]"
)


class TemplateState(TypedDict):
    """The state of a template learner; `version` is the format of `root`."""

    version: int
    forgotten: int
    root: NodeState


def dump(node: Node) -> NodeState:
    """A node and all below it, as a tuple."""
    return (
        _bytes(node.spread),
        _bytes(node.seen),
        node.least,
        [(method, shape, times) for (method, shape), times in node.calls.items()],
        [(key, dump(child)) for key, child in node.children.items()],
    )


def _bytes(bitmap: int) -> bytes:
    return bitmap.to_bytes((bitmap.bit_length() + 7) // 8, "big")


def load(state: TemplateState) -> Node:
    """The root that `dump` wrote, in any version so far. Raises ValueError for a later one."""
    version, root = state["version"], state["root"]
    if version not in (*STEPS, VERSION):
        raise ValueError(f"templates of version {version}, not {VERSION}")
    for step in range(version, VERSION):
        root = STEPS[step](root)
    return _load(root)


def _load(state: NodeState) -> Node:
    node = Node()
    spread, seen, node.least, calls, children = state
    node.spread, node.seen = int.from_bytes(spread, "big"), int.from_bytes(seen, "big")
    node.calls = {(method, shape): times for method, shape, times in calls}
    node.children = {key: _load(child) for key, child in children}
    return node


def _sketched(state: CountedNode) -> NodeState:
    """Version 2 → 3: `spread` was a count; it becomes a bitmap with as many bits."""
    spread, seen, least, calls, children = state
    bitmap = (1 << min(spread, BITS)) - 1
    return _bytes(bitmap), seen, least, calls, [(key, _sketched(child)) for key, child in children]


STEPS: dict[int, Callable[..., NodeState]] = {2: _sketched}
"""Conversions of a stored trie to the next version, by version."""
