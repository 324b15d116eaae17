"""What was observed, as a trie of segments: counts only, so that the order of traffic leaves no trace.

A segment that shows its kind by itself is folded into one child per kind at once; words keep a child each
until they are settled (see templates.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log
from typing import Any
from zlib import crc32

from server.analysis.rebuild.template_values import Kind

MOST_CALLS = 24  # (method, shape) pairs told apart at one path
_BITS = 256
FOLD = "\0"  # begins the key of a folded child; a segment with this character is a value by kind

Shape = int | str | None
Calls = dict[tuple[str, Shape], int]


def fold_key(kind: Kind | None, suffix: str = "") -> str:
    """The key of the child that stands for all values of a kind (None: words settled as values)."""
    return f"{FOLD}{kind.value if kind else 'word'}{FOLD}{suffix}"


def is_fold(key: str) -> bool:
    return key.startswith(FOLD)


class Node:
    """One segment of observed paths, or all values of one kind at a place.

    `spread`: under how many distinct values of the segment before it stood. `least` and `seen` say of a fold
    which values it holds: the first in the order of text, and a bitmap of their hashes.
    """

    __slots__ = ("calls", "children", "least", "seen", "spread")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.calls: Calls = {}
        self.spread = 1
        self.seen = 0
        self.least: str | None = None

    def holds(self, word: str) -> None:
        """Notes a value of a fold."""
        self.seen |= 1 << (crc32(word.encode("utf-8", "surrogatepass")) % _BITS)
        if self.least is None or word < self.least:
            self.least = word

    def count(self, method: str, shape: Shape, times: int = 1) -> None:
        """Counts calls; beyond the bound the shape is no longer told, then the method not either."""
        calls = self.calls
        key = (method, shape)
        if key not in calls and len(calls) >= MOST_CALLS:
            key = (method, None) if (method, None) in calls or len(calls) < 2 * MOST_CALLS else ("", None)
        calls[key] = calls.get(key, 0) + times

    def absorb(self, other: Node) -> int:
        """Adds another node's counts and children to this one. Returns how many nodes that saved."""
        for (method, shape), times in other.calls.items():
            self.count(method, shape, times)
        self.seen |= other.seen
        if other.least is not None and (self.least is None or other.least < self.least):
            self.least = other.least
        freed = 1
        for key, child in other.children.items():
            mine = self.children.get(key)
            if mine is None:
                self.children[key] = child
            else:
                mine.spread += child.spread
                freed += mine.absorb(child)
        return freed

    def walk(self) -> Iterator[Node]:
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children.values())


def distinct(seen: int) -> int:
    """About how many values set the bits of a bitmap (linear counting; exact while few)."""
    clear = _BITS - seen.bit_count()
    if clear == 0:
        return 1536
    return max(round(-_BITS * log(clear / _BITS)), 1 if seen else 0)


def dump(node: Node) -> list[object]:
    """A node and all below it as lists that msgpack takes."""
    return [
        node.spread,
        node.seen.to_bytes(_BITS // 8, "big") if node.seen else b"",
        node.least,
        [[method, shape, times] for (method, shape), times in node.calls.items()],
        [[key, dump(child)] for key, child in node.children.items()],
    ]


def load(state: Any) -> Node:
    """The node that `dump` wrote."""
    node = Node()
    node.spread, seen, node.least, calls, children = state
    node.seen = int.from_bytes(seen, "big")
    node.calls = {(method, shape): times for method, shape, times in calls}
    node.children = {key: load(child) for key, child in children}
    return node
