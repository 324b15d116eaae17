"""Evidence that a word at a place is a value: measures over all the words at that place.

Values of one parameter are exchangeable: the segments that follow, methods and responses come from one
distribution, and new values keep coming. Words of the API differ in these, or are a closed set, or occur
below many different values of the segment before.

Sums of fractions are exact (fsum), so the odds do not depend on the order of words and calls.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from math import fsum, lgamma, log
from typing import TypeVar

from server.analysis.rebuild.segments import is_version
from server.analysis.rebuild.templates.nodes import Node, distinct, is_fold

Counts = Mapping[object, float]
K = TypeVar("K")

PARTS = ("edges", "grand", "leaf", "shapes", "shapes_below")
"""The compared properties: the next segment, the one after, methods, responses here, responses one segment
further.
"""

OTHER = "\1"  # a segment without evidence of its own
_FEW = 3
_MOST_PRIOR = 50.0
_MOST_GAIN = 8.0
_MOST_WORDS = log(30)  # more words are no further evidence
_MOST_TIMES = log(120)
_MOST_CALLS = log(2000)
_MOST_EACH = 5.0
_MOST_WIDTH = 4.0
_TELLS = 1.5  # expected values before a word
_ITEM = frozenset({"PUT", "PATCH", "DELETE"})
_TRUNK = 0.6  # of the API's calls
_FIRST = 0.9  # the same, at the place of first words: after the base path or version
_BREAK = re.compile(r"[-_.]")
_RUN = re.compile(r"[A-Z]+|[a-z]+|\d+")
_READABLE = 3.2  # characters of one case in a row, on average; text by people has more


class Word:
    """What was observed of one word at a place, over all its nodes."""

    __slots__ = ("edges", "fold", "grand", "key", "leaf", "parents", "shapes", "shapes_below", "total")

    def __init__(self, key: str, nodes: Sequence[Node]) -> None:
        self.key = key
        self.fold = is_fold(key)
        self.total = sum(node.total for node in nodes)
        self.parents = len(nodes)
        self.edges: Counter[str] = Counter()
        self.grand: Counter[str] = Counter()
        self.leaf: Counter[str] = Counter()
        self.shapes: Counter[tuple[str, object]] = Counter()
        self.shapes_below: Counter[tuple[str, object]] = Counter()
        for node in nodes:
            self._add(node)

    @property
    def things(self) -> int:
        """The number of different things called at the word and directly below."""
        return len(self.leaf) + len(self.edges)

    def _add(self, node: Node) -> None:
        for (method, shape), times in node.calls.items():
            self.leaf[method] += times
            if shape is not None:
                self.shapes[method, shape] += times
        for key, child in node.children.items():
            self.edges[key] += child.total
            for (method, shape), times in child.calls.items():
                self.grand[">" + method] += times
                if shape is not None:
                    self.shapes_below[method, shape] += times
            for further, grandchild in child.children.items():
                self.grand[further] += grandchild.total


def contexts(root: Node) -> dict[str, int]:
    """The number of different segments that each word follows, anywhere."""
    seen: dict[str, set[str]] = {}
    stack = [("", root)]
    while stack:
        before, node = stack.pop()
        for key, child in node.children.items():
            if not is_fold(key):
                seen.setdefault(key, set()).add(before)
            stack.append((key, child))
    return {word: len(befores) for word, befores in seen.items()}


class Level:
    """All words at one place. `before` is the word before it ("" at the root), None for a parameter; `known`
    are the `contexts` of words, `calls` all calls of the API.
    """

    def __init__(
        self,
        children: Mapping[str, Sequence[Node]],
        parents: Sequence[Node],
        before: str | None,
        known: Mapping[str, int],
        calls: int,
    ) -> None:
        self.words = [Word(key, nodes) for key, nodes in sorted(children.items()) if key]
        self.names = [word for word in self.words if not word.fold]
        self._before = before
        self._known = known
        self._width = sum(distinct(parent.spread) for parent in parents)
        self._totals = Counter(parent.total for parent in parents)
        self._everything = max(sum(parent.total for parent in parents), 1)
        self._collection = any(parent.calls for parent in parents)
        self.calls = sum(word.total for word in self.names)  # of the names only
        self._share = self.calls / max(calls, 1)

    def evidence(self) -> dict[str, dict[str, float]]:
        """The measures of each word by name; folds contribute, but have none themselves."""
        if not self.names:
            return {}
        _generalise(self.words, self._known, "edges")
        _generalise(self.words, self._known, "grand")
        evens = {part: _evenness(self.words, part) for part in PARTS}
        held = Counter(key for word in self.words for key in word.edges if key != OTHER)
        answered = Counter(shape for word in self.words for shape in word.shapes)
        shared = {word.key: sum(1 for key in word.edges if held[key] >= _FEW) for word in self.names}
        place = self._of_place()
        return {
            word.key: {
                **place,
                **self._of_word(word, {part: evens[part][word.key] for part in PARTS}),
                **self._of_look(word.key),
                "shared": log(1 + shared[word.key]),
                "first": float(self._is_first and not shared[word.key]),
                "edge_same": self._held_by(word.edges, held),
                "shape_same": self._held_by(word.shapes, answered),
            }
            for word in self.names
        }

    def _of_place(self) -> dict[str, float]:
        total, words = max(self.calls, 1), len(self.names)
        once = sum(1 for word in self.names if word.total <= 1)
        signs = len({sign for word in self.names for sign in (*word.shapes, *word.edges)})
        return {
            "once": once / words,
            "once_calls": once / total,
            "new": words / total,
            "words": min(log(words), _MOST_WORDS),
            "place_calls": min(log(total + 1), _MOST_CALLS),
            "signs": log(max(signs, 1) / words),
            "each_sign": log((total + 1) / max(signs, 1)),
            "each_word": log(total / words),
            "trunk": float(self._share >= _TRUNK),
            "width": min(log(self._width + 1), _MOST_WIDTH),
            "collection": float(self._collection),
            "plural": float(self._is_plural),
            "after_value": float(self._before is None),
        }

    def _of_word(self, word: Word, evens: dict[str, float]) -> dict[str, float]:
        even = sum(evens.values())
        return {
            **evens,
            "calls": min(log(word.total + 1), _MOST_TIMES),
            "calls_share": log((word.total + 0.5) * len(self.names) / max(self.calls, 1)),
            "calls_each": min(log((word.total + 0.5) / max(word.things, 1)), _MOST_EACH),
            "things": log(1 + word.things),
            "independent": self._independence(word),
            "contexts": log(self._known.get(word.key, 1)),
            "item": float(bool(_ITEM & word.leaf.keys())),
            "leaf_only": float(not word.edges),
            "shapeless": float(not word.shapes),
            "version": float(is_version(word.key) or any(map(is_version, word.edges))),
            "plural_even": even if self._is_plural else 0.0,
            "after_value_even": even if self._before is None else 0.0,
        }

    def _independence(self, word: Word) -> float:
        """The number of values of the segment before that the word follows (logarithm), relative to what its
        calls would reach by chance: what belongs to one value stays below few.
        """
        missed = fsum(
            times * (1 - total / self._everything) ** word.total for total, times in self._totals.items()
        )
        expected = self._totals.total() - missed
        return log(word.parents) * min(1.0, word.parents / expected) if expected >= _TELLS else 0.0

    @staticmethod
    def _of_look(text: str) -> dict[str, float]:
        return {
            "jumble": _jumble(text),
            "digit": float(any(map(str.isdigit, text))),
            "parts": float(len(_BREAK.findall(text))),
            "ends_in_s": float(text.endswith("s")),
        }

    def _held_by(self, keys: Collection[K], holders: Mapping[K, int]) -> float:
        """The largest share of the other words here that also have one of these keys."""
        others = max(len(self.words) - 1, 1)
        return max(((holders[key] - 1) / others for key in keys if key != OTHER), default=0.0)

    @property
    def _is_first(self) -> bool:
        return self._share >= _FIRST and not self._is_plural

    @property
    def _is_plural(self) -> bool:
        return self._before is not None and self._before.endswith("s")


def _jumble(text: str) -> float:
    """How unreadable a text is: 1 if case and digits alternate all the time, 0 if they do not."""
    runs = _RUN.findall(text)
    letters = sum(map(len, runs))
    if letters < 8 or len(runs) < 4:
        return 0.0
    return max(0.0, min(1.0, (_READABLE - letters / len(runs)) / 1.5))


def _generalise(words: Sequence[Word], known: Mapping[str, int], part: str) -> None:
    """Replaces segments that follow only one word, and are unknown elsewhere, by one common token."""
    held = Counter(key for word in words for key in getattr(word, part))
    for word in words:
        counts: Counter[str] = Counter()
        for key, times in getattr(word, part).items():
            tells = not is_fold(key) and (held[key] > 1 or known.get(key, 0) > _FEW or key[:1] == ">")
            counts[key if tells else OTHER] += times
        setattr(word, part, counts)


def _evenness(words: Sequence[Word], part: str) -> dict[str, float]:
    """Per word, how much better the other words predict its counts than no information does (log of the
    ratio).

    Counts are damped, since calls come in bursts.
    """
    damped = {word.key: {k: 1 + log(n) for k, n in getattr(word, part).items() if n} for word in words}
    together: dict[object, float] = {}
    for counts in damped.values():
        for key, weight in counts.items():
            together[key] = together.get(key, 0.0) + weight
    everything, kinds = fsum(together.values()), len(together) + 1
    result = {}
    for name, counts in damped.items():
        rest = max(everything - fsum(counts.values()), 0.0)
        scale = min(1.0, _MOST_PRIOR / rest) if rest > 0 else 0.0
        prior = {key: max(together[key] - weight, 0.0) * scale for key, weight in counts.items()}
        gain = _likelihood(counts, prior, rest * scale, kinds) - _likelihood(counts, {}, 0.0, kinds)
        result[name] = max(-_MOST_GAIN, min(_MOST_GAIN, gain))
    return result


def _likelihood(counts: Counts, prior: Counts, weight: float, kinds: int) -> float:
    """Log of the probability of counts, drawn one after another from a Dirichlet prior."""
    own = 1.0 / kinds
    total = fsum(counts.values())
    drawn = [own + prior.get(key, 0.0) for key in counts]
    gains = (lgamma(at + times) - lgamma(at) for at, times in zip(drawn, counts.values(), strict=True))
    return lgamma(1.0 + weight) - lgamma(1.0 + weight + total) + fsum(gains)
