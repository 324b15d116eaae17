"""What is known of the values at one place, as counts: they only grow, and two places merge by adding up.

So the order of traffic leaves no trace, until a bound is reached; each bound widens what is allowed and
never narrows it, so that what taught always conforms. A value that the agent masked teaches its type and
format alone.
"""

from __future__ import annotations

from typing import Any

from server.analysis.rebuild import shape_objects
from server.analysis.rebuild.shape_texts import ALL, OF_JSON, hidden_readings, still

MOST_TEXTS = 64  # distinct strings told apart at a place; with more it has no enum
LONGEST_TEXT = 64  # characters of a string that may be one of an enum, or an example
DEEPEST = 64  # levels of a body; what lies deeper is allowed to be anything
NO_TEXT = "\U0010ffff"  # stands above any example
NO_NUMBER = float("inf")
FARTHEST = 10**64  # from zero, of a number that may be an example
MOST_SHAPES = 60_000  # places of one API; beyond, new places are allowed to be anything


class Hidden:
    """Stands for a masked scalar within a value."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Budget:
    """How many places may still be made, and the time (ns) of what is being learnt. `wire`: it is texts of
    parameters, which may stand for numbers.
    """

    __slots__ = ("left", "now", "refused", "wire")

    def __init__(self, left: int = MOST_SHAPES) -> None:
        self.wire = False
        self.left = left
        self.now = 0
        self.refused = 0

    def shape(self) -> Shape:
        """A place for what is being learnt."""
        return Shape(ALL if self.wire else OF_JSON)

    def take(self) -> bool:
        """Takes one place; False, counted, where none is left."""
        if self.left <= 0:
            self.refused += 1
            return False
        self.left -= 1
        return True


class Shape:
    """The values of one place. `texts` counts strings until there are too many distinct ones (None);
    `strings` counts those that are not in it, `hidden` the masked ones, which are in neither.
    `unknown` values, and items where `open`, may be anything.
    """

    __slots__ = (
        "arrays",
        "booleans",
        "fits",
        "hidden",
        "integers",
        "items",
        "least",
        "low",
        "nulls",
        "numbers",
        "objects",
        "open",
        "strings",
        "texts",
        "unknown",
    )

    def __init__(self, fits: int = ALL) -> None:
        self.nulls = self.booleans = self.integers = self.numbers = 0
        self.strings = self.hidden = self.arrays = self.unknown = 0
        self.texts: dict[str, int] | None = {}
        self.fits = fits
        self.open = False
        self.least = NO_TEXT
        self.low: float = NO_NUMBER
        self.items: Shape | None = None
        self.objects: shape_objects.Objects | None = None

    @property
    def all_strings(self) -> int:
        return self.strings + self.hidden + (sum(self.texts.values()) if self.texts else 0)

    @property
    def count(self) -> int:
        """How many values were learnt here."""
        scalars = self.nulls + self.booleans + self.integers + self.numbers + self.all_strings
        return scalars + self.arrays + self.unknown + (self.objects.count if self.objects else 0)

    def learn(self, value: Any, budget: Budget, depth: int = 0) -> None:
        """Learns from one JSON value; `depth` is how many levels are above it."""
        kind = type(value)
        if kind is str:
            texts = self.texts
            if texts is not None and value in texts:
                texts[value] += 1
            else:
                self.text(value)
        elif kind is int:
            self.integers += 1
            if value < self.low:
                self.lower(value)
        elif kind is dict:
            self.learn_object(value, budget, depth)
        elif value is None:
            self.nulls += 1
        elif kind is bool:
            self.booleans += 1
        elif kind is list:
            self._learn_array(value, budget, depth)
        elif kind is float:
            self.numbers += 1
            if value < self.low:
                self.lower(value)
        else:
            self._learn_hidden(value.value)

    def text(self, text: str) -> None:
        """A string that is not among `texts`."""
        if self.fits:
            self.fits = still(self.fits, text)
        texts = self.texts
        short = len(text) <= LONGEST_TEXT
        if short and text < self.least:
            self.least = text
        if texts is None:
            self.strings += 1
        elif short and len(texts) < MOST_TEXTS:
            texts[text] = texts.get(text, 0) + 1
        else:
            self.strings += 1 + sum(texts.values())
            self.texts = None

    def lower(self, number: float) -> None:
        """A number below `low`. 1.0 is kept as 1, so that it does not matter which of them came first."""
        if abs(number) <= FARTHEST:
            whole = int(number)
            self.low = whole if whole == number else number

    def _learn_hidden(self, value: Any) -> None:
        if isinstance(value, str):
            self.hidden += 1
            self.fits &= hidden_readings(value)
        elif isinstance(value, float):
            self.numbers += 1
        else:
            self.integers += 1

    def _learn_array(self, value: list[Any], budget: Budget, depth: int) -> None:
        self.arrays += 1
        if not value:
            return
        items = self.items
        if items is None:
            if depth >= DEEPEST or not budget.take():
                self.open = True
                return
            items = self.items = budget.shape()
        depth += 1
        for one in value:
            items.learn(one, budget, depth)

    def learn_object(self, value: dict[str, Any], budget: Budget, depth: int) -> None:
        objects = self.objects
        if objects is None:
            if depth >= DEEPEST or not budget.take():
                self.unknown += 1
                return
            objects = self.objects = shape_objects.Objects()
        objects.learn(value, budget, depth + 1)

    def absorb(self, other: Shape) -> None:
        """Adds all that another place has learnt; `other` is not to be used any more."""
        self.nulls += other.nulls
        self.booleans += other.booleans
        self.integers += other.integers
        self.numbers += other.numbers
        self.hidden += other.hidden
        self.arrays += other.arrays
        self.unknown += other.unknown
        self.strings += other.strings
        self.fits &= other.fits
        self.open |= other.open
        self._absorb_texts(other)
        self.low = min(self.low, other.low)
        if self.items is None:
            self.items = other.items
        elif other.items is not None:
            self.items.absorb(other.items)
        if self.objects is None:
            self.objects = other.objects
        elif other.objects is not None:
            self.objects.absorb(other.objects)

    def _absorb_texts(self, other: Shape) -> None:
        self.least = min(self.least, other.least)
        mine, theirs = self.texts, other.texts
        if mine is not None and theirs is not None:
            for text, times in theirs.items():
                mine[text] = mine.get(text, 0) + times
            if len(mine) <= MOST_TEXTS:
                return
        kept = theirs if mine is None else mine
        self.strings += sum(kept.values()) if kept else 0
        self.texts = None
