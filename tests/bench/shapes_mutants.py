"""Records changed in one place each, by rules that hold for the whole data set, whatever was learned.

A place is a path of keys, with one step for all items of an array. A changed place has at least OFTEN values
in the data set, and its rule has no exception:

- a key that every object there has is removed;
- a value, where all have one type, becomes one of another type;
- a text, where all have one format (by the patterns here), becomes one without a format;
- a text, where few distinct ones occur, each REPEATED times or more on average, becomes another.
"""

from __future__ import annotations

import copy
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

OFTEN = 50
REPEATED = 10
MOST_WORDS = 12  # distinct texts of a closed vocabulary
ITEM = object()

KINDS = ("missing key", "wrong type", "bad format", "unknown word")
_FORMATS = (
    re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
    re.compile(r"\d{4}-\d\d-\d\d"),
    re.compile(r"https?://[!-~]+"),
    re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"),
    re.compile(r"((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?=\d)|$)){4}"),
)
_OTHERS: dict[type, Any] = {str: 12345, int: "many", float: "much", bool: "maybe", list: {}, dict: []}

Path = tuple[Any, ...]


@dataclass(slots=True)
class Place:
    """Facts about all values at a path."""

    values: int = 0
    types: set[type] = field(default_factory=set)
    texts: Counter[str] = field(default_factory=Counter)
    formats: set[int] = field(default_factory=lambda: set(range(len(_FORMATS))))
    keys: Counter[str] = field(default_factory=Counter)

    @property
    def is_often(self) -> bool:
        return self.values >= OFTEN

    def is_closed(self) -> bool:
        few = 0 < len(self.texts) <= min(MOST_WORDS, self.values // REPEATED)
        return self.types == {str} and few and min(self.texts.values()) > 1

    def holds(self, kind: str) -> bool:
        """Whether the rule that a kind of mutant breaks holds here."""
        return {
            "wrong type": len(self.types) == 1,
            "bad format": self.types == {str} and bool(self.formats),
            "unknown word": self.is_closed(),
        }.get(kind, False)


class Truth:
    """The places of a data set."""

    def __init__(self, records: Sequence[Any]) -> None:
        self.places: dict[Path, Place] = defaultdict(Place)
        for record in records:
            for path, _, value in _walk(record):
                self._see(self.places[path], value)

    def _see(self, place: Place, value: Any) -> None:
        place.values += 1
        place.types.add(int if type(value) is float else type(value))
        if isinstance(value, str):
            place.texts[value] += 1
            place.formats = {i for i in place.formats if _FORMATS[i].fullmatch(value)}
        elif isinstance(value, dict):
            place.keys.update(value.keys())

    def mutant(self, record: Any, kind: str, chance: random.Random) -> Any | None:
        """The record, changed at one random place; None if it has no place for this kind."""
        found = [(way, name) for way, name in self._candidates(record, kind)]
        if not found:
            return None
        way, name = chance.choice(found)
        altered = copy.deepcopy(record)
        holder = altered
        for step in way[:-1]:
            holder = holder[step]
        if kind == "missing key":
            target = holder[way[-1]] if way else altered
            del target[name]
        elif kind == "wrong type":
            holder[way[-1]] = _OTHERS[type(holder[way[-1]])]
        elif kind == "bad format":
            holder[way[-1]] = "no such format"
        else:
            holder[way[-1]] += "-unheard-of"
        return altered

    def _candidates(self, record: Any, kind: str) -> Iterator[tuple[Path, str]]:
        for path, way, value in _walk(record):
            place = self.places[path]
            if not place.is_often:
                continue
            if kind == "missing key" and isinstance(value, dict):
                yield from ((way, key) for key in value if place.keys[key] == place.values)
            elif way and type(value) in _OTHERS and place.holds(kind):
                yield way, ""


def _walk(record: Any) -> Iterator[tuple[Path, Path, Any]]:
    """Each value with its place and the keys that lead to it."""
    stack: list[tuple[Path, Path, Any]] = [((), (), record)]
    while stack:
        path, way, value = stack.pop()
        yield path, way, value
        if isinstance(value, dict):
            stack += [((*path, key), (*way, key), one) for key, one in value.items()]
        elif isinstance(value, list):
            stack += [((*path, ITEM), (*way, index), one) for index, one in enumerate(value)]
