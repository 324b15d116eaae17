"""What was observed, as a trie of segments: counts only, so that the order of traffic leaves no trace.

A segment that shows its kind by itself is folded into one child per kind at once; words keep a child each
until their learner needs room (see template_learner.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import log
from zlib import crc32

from server.analysis.rebuild.segments import OPAQUE, split_suffix

MOST_CALLS = 24  # (method, shape) pairs told apart at one path
NAMES = "name"  # the kind of words that were found to be values
BITS = 256
_ALL_BITS = (1 << BITS) - 1
ONE_PATH = 1  # the sketch of a node that stands for one path
_FOLD = "\0"  # begins the key of a folded child; a segment with this character is a value by kind

Fingerprint = int | str | None
"""Of what was answered: equal structure, equal print; None where nothing is known of it."""

Calls = dict[tuple[str, Fingerprint], int]


def fold_key(kind: str) -> str:
    """The key of the child that stands for all values of a kind, which may end in a suffix ("name.json")."""
    return _FOLD + kind


OPAQUE_KEY = fold_key(OPAQUE)
NAMES_KEY = fold_key(NAMES)


def is_fold(key: str) -> bool:
    return key.startswith(_FOLD)


def kind_in(key: str) -> str:
    """The kind of a fold's values, without their suffix."""
    return split_suffix(key[1:])[0]


def suffix_in(key: str) -> str:
    """What the values of a fold, or a word, end in."""
    return split_suffix(key)[1]


class Node:
    """One segment of observed paths, or all values of one kind at a place.

    `spread` says behind which folded words it stands: a bitmap of their hashes, so that nodes merge by `|`.
    `least` and `seen` say of a fold which values it holds: the first in the order of text, and a bitmap of
    their hashes. `total` is how many calls the node and all below it have, as of the last `add_up`.
    """

    __slots__ = ("calls", "children", "least", "seen", "spread", "total")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.calls: Calls = {}
        self.spread = ONE_PATH
        self.total = 0
        self.seen = 0
        self.least: str | None = None

    def holds(self, word: str) -> None:
        """Notes a value of a fold."""
        self.seen |= 1 << _bit_of(word)
        if self.least is None or word < self.least:
            self.least = word

    def count(self, method: str, shape: Fingerprint, times: int = 1) -> None:
        """Counts calls; beyond the bound the shape is no longer told, then the method not either."""
        calls = self.calls
        key = (method, shape)
        if key not in calls and len(calls) >= MOST_CALLS:
            key = (method, None) if (method, None) in calls or len(calls) < 2 * MOST_CALLS else ("", None)
        calls[key] = calls.get(key, 0) + times

    def fold(self, word: str) -> None:
        """Notes that all below this node stands behind this word, one of those that become one child."""
        turn = _bit_of(word)
        for node in chain.from_iterable(child.walk() for child in self.children.values()):
            node.spread = (node.spread << turn | node.spread >> (BITS - turn)) & _ALL_BITS

    def absorb(self, other: Node) -> None:
        """Adds another node's counts and children to this one; `other` is not to be used any more."""
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
        """Brings `total` up to date here and below, and answers it."""
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
    """About how many values set the bits of a bitmap (linear counting; exact while few)."""
    clear = BITS - seen.bit_count()
    if clear == 0:
        return 6 * BITS  # more than this many cannot be told apart
    return round(-BITS * log(clear / BITS))
