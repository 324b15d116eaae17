"""The second opinion: evidence that a word is a value, once all places were examined.

How often a word is called, and how rarely a new one comes, depends on the amount of traffic. So calls are
relative to the calls per template of this API; counts of new words, and of words seen once, are those
expected in the same traffic thinned out to a few requests per template (rarefaction). And words with similar
responses or continuations should be of one kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum, log

from server.analysis.rebuild.templates.evidence import OTHER, Level, Word

Measures = dict[str, float]

_THINNED = 5.0  # requests per template
_MOST = 4.0
_MOST_ELSEWHERE = 8.0


def bounded(odds: float, most: float = _MOST) -> float:
    return max(-most, min(most, odds))


def second(
    level: Level,
    first: Mapping[str, float],
    elsewhere: Mapping[str, float],
    rate: float,
) -> dict[str, Measures]:
    """The further measures of each word at a place with words, by name.

    `first` are the odds of the first opinion, `elsewhere` those of the same word at other places, added up;
    `rate` is the number of requests per template.
    """
    place = {**_thinned(level, rate), "busiest": _busiest(level, rate)}
    alike = _Alike(level, first)
    return {
        word.key: {
            **place,
            **alike.measures(word),
            "elsewhere": bounded(elsewhere[word.key], _MOST_ELSEWHERE),
        }
        for word in level.names
    }


def _thinned(level: Level, rate: float) -> Measures:
    """The expected number of words, and of words seen once, if each call had been seen with a given
    probability.
    """
    kept = min(1.0, _THINNED / rate)
    words = once = 0.0
    for word in level.names:
        words += 1 - (1 - kept) ** word.total
        once += word.total * kept * (1 - kept) ** max(word.total - 1, 0)
    return {
        "new_thinned": words / max(kept * level.calls, 1.0),
        "once_thinned": once / words if words else 0.0,
        "words_rate": min(log(len(level.names) * rate / max(level.calls, 1)), _MOST),
    }


def _busiest(level: Level, rate: float) -> float:
    """For each word, the calls of the busiest node at or directly below it; the median over the words,
    relative to the calls of a template (logarithm). Words of an API have at least as many as a template.
    """
    calls = sorted(max(sum(word.leaf.values()), *word.edges.values(), 0.5) for word in level.names)
    return bounded(log(calls[len(calls) // 2] / rate))


class _Alike:
    """The first opinions of words with similar responses or continuations."""

    def __init__(self, level: Level, first: Mapping[str, float]) -> None:
        self._odds = {word.key: _MOST if word.fold else bounded(first[word.key]) for word in level.words}
        self._all = sum(self._odds.values())
        self._by_sign: dict[object, tuple[float, int]] = {}
        for word in level.words:
            for sign in _signs(word):
                odds, words = self._by_sign.get(sign, (0.0, 0))
                self._by_sign[sign] = odds + self._odds[word.key], words + 1

    def measures(self, word: Word) -> Measures:
        own = self._odds[word.key]
        signs = [self._by_sign[sign] for sign in _signs(word)]
        shared = [(odds - own) / (words - 1) for odds, words in signs if words > 1]
        others = len(self._odds) - 1
        return {
            "alike": fsum(shared) / len(shared) if shared else 0.0,
            "alike_known": float(bool(shared)),
            "rest": (self._all - own) / others if others else 0.0,
        }


def _signs(word: Word) -> set[object]:
    return {*word.shapes, *(key for key in word.edges if key != OTHER)}
