"""The weights of each measure as evidence that a word is a value: three logistic regressions.

They were fitted to traffic generated for published APIs (tests/bench/README.md says how). The second and the
sparse one use the first one's results for all places; the sparse one is for APIs of which little was seen.
"""

from __future__ import annotations

from collections.abc import Mapping

FIRST = {
    "": -5.01,
    # the place: new words keep coming; a collection and what it is called
    "once": 5.82,  # share of the words seen once
    "once_calls": -5.9,  # words seen once, per call
    "new": 5.28,  # words per call
    "words": 0.48,
    "place_calls": 0.49,  # logarithm, as are all counts
    "width": 0.46,  # values that the place follows
    "collection": 0.54,
    "plural": 1.14,  # after "users"
    "after_value": -0.82,  # two parameters in a row are rare
    # the word: how often it is called, what it looks like
    "calls": -0.53,
    "calls_share": 0.26,  # of those of the place
    "calls_each": -0.96,  # per thing that is called here or follows
    "things": -1.03,  # how many these are
    "contexts": 0.37,  # words it follows anywhere
    "item": 1.46,  # PUT, PATCH or DELETE
    "shapeless": 1.11,
    "ends_in_s": -1.32,
    "jumble": 2.49,  # base62 and the like
    "version": -50.0,  # v1, or what v1 follows, a group of the API: never
    # how much it is like the other words
    "shared": 2.19,  # what follows at least three words here
    "edge_same": 2.16,  # share of the words that have one of these, too
    "shape_same": 1.56,  # and of answers
    "shapes": 0.26,
    "shapes_below": 0.55,
    "plural_even": 0.32,
    "after_value_even": 0.26,
}
SECOND = {
    "": -2.6,
    # the place: new words keep coming; a collection and what it is called
    "once": -0.66,
    "new": -2.73,
    "words": 0.53,
    "place_calls": -0.36,
    "width": 0.49,
    "collection": 0.19,
    "after_value": -0.32,
    # the word: how often it is called, what it looks like
    "calls": -0.13,
    "calls_share": -0.94,
    "calls_each": -0.29,
    "contexts": -0.19,
    "item": 0.6,
    "leaf_only": -0.41,
    "shapeless": 0.37,
    "ends_in_s": -1.24,
    "jumble": 1.84,
    "version": -50.0,
    # how much it is like the other words
    "shared": 0.93,
    "edge_same": -0.9,
    "edges": 0.22,  # the others foretell what follows it, further on, and how it answers
    "grand": 0.28,
    "shapes": 0.1,
    "shapes_below": 0.22,
    "plural_even": 0.09,
    "independent": -0.18,  # stands below many of the values before it
    # what the first opinion was of words alike, and of this word elsewhere
    "alike": 0.2,
    "alike_known": 0.77,
    "rest": 0.33,  # all other words here
    "elsewhere": 0.09,
    # amounts that do not change with traffic
    "new_thinned": 5.41,
    "once_thinned": 1.74,
    "words_rate": -0.18,
    "busiest": -0.46,  # see second_opinion.py
}
SPARSE = {
    "": -2.69,
    # the place
    "signs": 1.3,  # different answers and continuations, per word
    "each_sign": 0.98,  # calls, per answer and continuation
    "each_word": -0.72,  # calls per word
    "once": 5.14,
    "once_calls": -3.69,
    "new_thinned": 0.06,
    "trunk": -1.36,  # most of the API lies here
    "first": -3.0,  # of all, and nothing follows that follows others, too (set by hand)
    "width": 0.46,
    "plural": 0.35,
    # the word
    "contexts": -1.98,
    "calls": -0.24,
    "calls_share": 0.36,
    "calls_each": -0.76,
    "item": 0.8,
    "shapeless": 0.89,
    "digit": 2.1,  # has one
    "parts": 0.58,  # separators within it
    "ends_in_s": -1.43,
    "jumble": 0.92,
    "version": -50.0,
    # how much it is like the other words, and what the first opinions were
    "shared": 2.66,
    "edge_same": -1.95,
    "plural_even": 0.19,
    "independent": -0.77,
    "alike": 0.28,
    "rest": 0.37,
    "elsewhere": 0.26,
}


def weighted(weights: Mapping[str, float], measures: Mapping[str, float]) -> float:
    """The logarithm of the odds that a word is a value."""
    return weights[""] + sum(weight * measures[name] for name, weight in weights.items() if name)
