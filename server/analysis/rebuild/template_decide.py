"""Which of the words at one place are values of a parameter, and which are words of the API.

A word is a value if the weighted sum of what speaks for it is above zero. The weights are a logistic
regression over traffic generated for some eighty published APIs (tests/bench/README.md says how).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.analysis.rebuild.template_evidence import Level, contexts
from server.analysis.rebuild.template_nodes import Node, is_fold, suffix_in

Children = Mapping[str, list[Node]]

BIAS = -3.28
WEIGHTS = {
    # the place: new words keep coming; a collection and what it is called
    "once": 0.85,  # share of the words seen once
    "new": 5.12,  # words per call
    "words": 1.43,
    "collection": 0.34,
    "kinds": 0.75,  # other values here show their kind by themselves
    "plural": 0.78,  # after "users"
    "after_value": -1.34,  # two parameters in a row are rare
    # the word: often called by itself, known from elsewhere, what it looks like
    "calls": -2.04,
    "spread": -0.15,
    "spreads": -0.46,
    "contexts": -0.23,
    "digits": 1.96,
    "marks": 0.37,
    "item": 1.60,  # PUT, PATCH or DELETE
    "passage": 0.60,  # no calls here, only below
    "version": -50.0,  # v1, or what v1 follows, a group of the API: never
    # how much it is like the other words
    "shared": 2.30,
    "edges": -0.06,
    "grand": 0.11,
    "leaf": 0.38,
    "shapes": 0.26,
    "shapes_below": 0.18,
    "plural_even": 0.32,
    "after_value_even": 0.51,
}
SHARE = 0.7  # what is found elsewhere counts so much
_MOST_SAID = 4.0
_MOST_SUFFIXES = 2
_FEW = 3
_ENOUGH = 4  # calls at a place, below which its words are words: /users and /health, each called once


@dataclass(frozen=True, slots=True)
class Partition:
    """The children of a place: keys that stay, and keys of one parameter by the suffix they share."""

    literals: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]


class Opinions:
    """Tells the children of places apart; of each word at a place it finds the odds that it is a value.

    Once shared, what was found at one place counts, less, at all places that follow the same word.
    """

    def __init__(self, root: Node) -> None:
        self._calls = root.add_up()
        self._contexts = contexts(root)
        self._found: dict[tuple[str, int, str], float] = {}
        self._shared = False

    def share(self) -> None:
        self._shared = True

    def partition(self, children: Children, parents: list[Node], before: list[str | None]) -> Partition:
        """`before` are the segments before the place, None for a parameter."""
        evidence = Level(children, parents, before[-1] if before else "", self._contexts).evidence()
        odds = self._with_others(before, {word: _odds(measures) for word, measures in evidence.items()})
        if sum(node.total for nodes in children.values() for node in nodes) < _ENOUGH:
            odds = {}
        literals: list[str] = []
        values: list[str] = []
        for key, nodes in children.items():
            if is_fold(key):
                is_value = not _is_base(nodes, len(before), self._calls)
            else:
                is_value = odds.get(key, -1.0) > 0
            (values if is_value else literals).append(key)
        if len(values) == 1 and not is_fold(values[0]):
            literals.append(values.pop())
        return Partition(tuple(sorted(literals)), by_suffix(values))

    def _with_others(self, before: list[str | None], odds: dict[str, float]) -> dict[str, float]:
        """The odds, and what was found of the same words after the same word elsewhere."""
        distance = next((back for back, word in enumerate(reversed(before)) if word is not None), len(before))
        word_before = before[-1 - distance] if distance < len(before) else ""
        result = {}
        for word, own in odds.items():
            at = (word_before or "", distance, word)
            bounded = max(-_MOST_SAID, min(_MOST_SAID, own))
            if self._shared:
                result[word] = own + SHARE * (self._found.get(at, bounded) - bounded)
            else:
                self._found[at] = self._found.get(at, 0.0) + bounded
        return result or odds


def _odds(evidence: Mapping[str, float]) -> float:
    """The logarithm of the odds that a word is a value."""
    return BIAS + sum(WEIGHTS[name] * measure for name, measure in evidence.items())


def _is_base(nodes: list[Node], depth: int, calls: int) -> bool:
    """Whether a number or date that never changes leads to most of the API: /2010-04-01/…, /api/3/…"""
    only = nodes[0]
    return (
        len(nodes) == 1
        and only.seen.bit_count() == 1
        and not only.calls
        and (depth == 0 or len(only.children) >= _FEW)
        and only.total * 2 > calls
    )


def by_suffix(keys: list[str]) -> dict[str, tuple[str, ...]]:
    """The keys of values by suffix; names of files, which end in many ways, stay together."""
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(suffix_in(key), []).append(key)
    shared = {s for s, members in groups.items() if s and (len(members) > 2 or is_fold(members[0]))}
    if sum(suffix.startswith(".") for suffix in shared) > _MOST_SUFFIXES:
        shared = {suffix for suffix in shared if not suffix.startswith(".")}
    result: dict[str, list[str]] = {}
    for suffix, members in groups.items():
        result.setdefault(suffix if suffix in shared else "", []).extend(members)
    return {suffix: tuple(sorted(members)) for suffix, members in result.items()}
