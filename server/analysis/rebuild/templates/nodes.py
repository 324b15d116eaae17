"""Observations as a trie of segments: only counts, so the order of traffic does not matter.

Segments whose kind is evident are folded into one child per kind at once; each word has its own child until
the learner needs room (see template_learner.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import log
from zlib import crc32

from server.analysis.rebuild.segments import OPAQUE, split_suffix

MOST_CALLS = 24  # (method, shape) pairs kept at one path
NAMES = "name"  # the kind of words that turned out as values
BITS = 256
_ALL_BITS = (1 << BITS) - 1
ONE_PATH = 1  # the sketch of a node for one path
_FOLD = "\0"  # starts the key of a folded child; a segment with this character is a value

Fingerprint = int | str | None
"""The fingerprint of a response: equal for equal structures; None if unknown."""

Calls = dict[tuple[str, Fingerprint], int]


def fold_key(kind: str) -> str:
    """The key of the child for all values of a kind, possibly with a suffix ("name.json")."""
    return _FOLD + kind


OPAQUE_KEY = fold_key(OPAQUE)
NAMES_KEY = fold_key(NAMES)


def is_fold(key: str) -> bool:
    return key.startswith(_FOLD)


def kind_in(key: str) -> str:
    """The kind of a fold's values, without the suffix."""
    return split_suffix(key[1:])[0]


def suffix_in(key: str) -> str:
    """The suffix of a fold's values, or of a word."""
    return split_suffix(key)[1]


class Node:
    """One segment of observed paths, or all values of one kind at a place.

    `spread` is a bitmap of the hashes of the folded words before it, so that nodes merge by `|`. `least` and
    `seen` describe a fold's values: the alphabetically first, and a bitmap of their hashes. `total` is the
    number of calls at and below the node, as of the last `add_up`.
    """

    __slots__ = ("calls", "children", "least", "seen", "spread", "total")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.calls: Calls = {}
        self.spread = ONE_PATH
        self.total = 0
        self.seen = 0
        self.least: str | None = None

    def add_value(self, word: str) -> None:
        """Records a value of a fold."""
        self.seen |= 1 << _bit_of(word)
        if self.least is None or word < self.least:
            self.least = word

    def count(self, method: str, shape: Fingerprint, times: int = 1) -> None:
        """Counts calls; beyond the bound without the shape, then also without the method."""
        calls = self.calls
        key = (method, shape)
        if key not in calls and len(calls) >= MOST_CALLS:
            key = (method, None) if (method, None) in calls or len(calls) < 2 * MOST_CALLS else ("", None)
        calls[key] = calls.get(key, 0) + times

    def fold(self, word: str) -> None:
        """Records that everything below this node follows this word, which is folded with others into one
        child.
        """
        turn = _bit_of(word)
        for node in chain.from_iterable(child.walk() for child in self.children.values()):
            node.spread = (node.spread << turn | node.spread >> (BITS - turn)) & _ALL_BITS

    def absorb(self, other: Node) -> None:
        """Merges another node's counts and children into this one; `other` must not be used any more."""
        self.spread |= other.spread
        for (method, shape), times in other.calls.items():
            self.count(method, shape, times)
        self.seen |= other.seen
        if other.least is not None and (self.least is None or other.least < self.least):
            self.least = other.least
        for key, child in other.children.items():
            mine = self.children.get(key)
            if mine is None:
                self.children[key] = child
            else:
                mine.absorb(child)

    def add_up(self) -> int:
        """Updates `total` here and below, and returns it."""
        self.total = sum(self.calls.values()) + sum(child.add_up() for child in self.children.values())
        return self.total

    def walk(self) -> Iterator[Node]:
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children.values())


def together(nodes: list[Node]) -> dict[str, list[Node]]:
    """The children of several nodes by key."""
    children: dict[str, list[Node]] = {}
    for node in nodes:
        for key, child in node.children.items():
            children.setdefault(key, []).append(child)
    return children


def _bit_of(word: str) -> int:
    return crc32(word.encode("utf-8", "surrogatepass")) % BITS


def distinct(seen: int) -> int:
    """The approximate number of values that set the bits of a bitmap (linear counting; exact while few)."""
    clear = BITS - seen.bit_count()
    if clear == 0:
        return 6 * BITS  # the largest number that can be estimated
    return round(-BITS * log(clear / BITS))
