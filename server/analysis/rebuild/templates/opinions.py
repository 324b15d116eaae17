"""Decides which words at one place are values of a parameter, and which are words of the API.

A word is a value if the weighted sum of its evidence is above zero. There are three opinions:

| opinion | looks at | decides |
|---|---|---|
| first | the place alone | nothing; the others use it |
| sparse | also the first opinions of all places | while templates have few calls |
| second | the same | once they have more; about an API's first words never alone |

To the sparse opinion a word is a word of the API until others come that are answered as it is.

A few words beside numbers or UUIDs are words of the API, whatever the opinions: `me` beside `17`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from statistics import fmean

from server.analysis.rebuild.templates.evidence import Level, contexts
from server.analysis.rebuild.templates.model import ParameterType
from server.analysis.rebuild.templates.nodes import Node, distinct, is_fold, kind_in, suffix_in
from server.analysis.rebuild.templates.second_opinion import bounded, second
from server.analysis.rebuild.templates.weights import FIRST, SECOND, SPARSE, weighted

Children = Mapping[str, list[Node]]

_MOST_SUFFIXES = 2
_FEW = 3
_LITTLE, _PLENTY = 1.9, 2.8  # calls of a template: up to the one the sparse opinion decides, then the second
_MOST_COUNTED = 10  # calls of one template, so that a busy one does not stand for all
_TRUST_AT_FIRST = 0.5  # the largest weight of the second opinion where the API's first words are
_MOST_BESIDE = 3  # words beside at least as many numbers and UUIDs
_LEAST_IDS = 2
_IDS = frozenset({ParameterType.INTEGER, ParameterType.UUID})
_ENOUGH = 4  # calls at a place; with fewer, words stay words: /users and /health, each called once


@dataclass(frozen=True, slots=True)
class Partition:
    """The children of a place: keys that stay, and keys of one parameter by suffix."""

    literals: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]


class Opinions:
    """Partitions the children of places, by the odds of each word to be a value.

    The first opinion decides until `share`, then the sparse one until `weigh`, then both later ones, weighted
    by the amount of traffic. These also use the first opinions of similar words, and of the same word at all
    places after the same word.
    """

    def __init__(self, root: Node) -> None:
        self._calls = root.add_up()
        self._contexts = contexts(root)
        self._found: dict[tuple[str, int, str], float] = {}
        self._rate: float | None = None
        self._trust = 0.0

    def share(self, templates: int) -> None:
        """Ends the first opinions, which gave this number of templates."""
        self._rate = max(self._calls / max(templates, 1), 1.0)

    def weigh(self, calls: Sequence[int]) -> None:
        """Ends the sparse opinions, which gave templates with these numbers of calls."""
        amount = fmean(min(times, _MOST_COUNTED) for times in calls) if calls else 0.0
        self._trust = max(0.0, min(1.0, (amount - _LITTLE) / (_PLENTY - _LITTLE)))

    def partition(self, children: Children, parents: list[Node], before: list[str | None]) -> Partition:
        """`before` are the segments before the place, None for a parameter."""
        odds = self._odds(
            Level(children, parents, before[-1] if before else "", self._contexts, self._calls), before
        )
        if sum(node.total for nodes in children.values() for node in nodes) < _ENOUGH:
            odds = {}
        beside = _beside_ids(children)
        literals: list[str] = []
        values: list[str] = []
        for key, nodes in children.items():
            if is_fold(key):
                is_value = not _is_base(nodes, len(before), self._calls)
            else:
                is_value = odds.get(key, -1.0) > 0 and key not in beside
            (values if is_value else literals).append(key)
        if len(values) == 1 and not is_fold(values[0]):
            literals.append(values.pop())
        return Partition(tuple(sorted(literals)), by_suffix(values))

    def _odds(self, level: Level, before: list[str | None]) -> Mapping[str, float]:
        evidence = level.evidence()
        first = {word: weighted(FIRST, measures) for word, measures in evidence.items()}
        place = _place(before)
        if self._rate is None or not evidence:
            for word, odds in first.items():
                self._found[*place, word] = self._found.get((*place, word), 0.0) + bounded(odds)
            return first
        elsewhere = {
            word: self._found.get((*place, word), bounded(odds)) - bounded(odds)
            for word, odds in first.items()
        }
        further = second(level, first, elsewhere, self._rate)
        return {word: self._later({**evidence[word], **further[word]}) for word in first}

    def _later(self, measures: Mapping[str, float]) -> float:
        trust = min(self._trust, _TRUST_AT_FIRST) if measures["first"] else self._trust
        sparse = weighted(SPARSE, measures) if trust < 1 else 0.0
        second = weighted(SECOND, measures) if trust else 0.0
        return (1 - trust) * sparse + trust * second


def _beside_ids(children: Children) -> frozenset[str]:
    """The words without digits at a place, if they are few beside its numbers and UUIDs: what such ids stand
    for seldom has names as well.
    """
    words = frozenset(key for key in children if key and not is_fold(key) and not any(map(str.isdigit, key)))
    if len(words) > _MOST_BESIDE:
        return frozenset()
    folds = (nodes for key, nodes in children.items() if is_fold(key) and kind_in(key) in _IDS)
    ids = sum(distinct(reduce(or_, (node.seen for node in nodes))) for nodes in folds)
    return words if ids >= max(len(words), _LEAST_IDS) else frozenset()


def _place(before: list[str | None]) -> tuple[str, int]:
    """The last word before a place, and the number of parameters between."""
    distance = next((back for back, word in enumerate(reversed(before)) if word is not None), len(before))
    word = before[-1 - distance] if distance < len(before) else ""
    return word or "", distance


def _is_base(nodes: list[Node], depth: int, calls: int) -> bool:
    """Whether a constant number or date leads to most of the API: /2010-04-01/…, /api/3/…"""
    only = nodes[0]
    return (
        len(nodes) == 1
        and only.seen.bit_count() == 1
        and not only.calls
        and (depth == 0 or len(only.children) >= _FEW)
        and only.total * 2 > calls
    )


def by_suffix(keys: list[str]) -> dict[str, tuple[str, ...]]:
    """The keys of values by suffix; file names, with their many suffixes, stay together."""
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
