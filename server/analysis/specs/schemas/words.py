"""The words of a value: names of its fields and values that a discriminator may have.

A schema of a field is applied only where a value has that field, and a type that a discriminator chooses only
where a value names it. So for values of known words a document of thousands of schemas that refer to one
another is converted as far as these words lead, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from server.analysis.json import Json

Words = frozenset[str] | None
"""What occurs in values; None: any word may."""


def words_of(value: Json) -> set[str]:
    """Every string in a value, also as name of a field."""
    found: set[str] = set()
    pending = [value]
    for one in pending:
        if isinstance(one, dict):
            found.update(one)
            pending += one.values()
        elif isinstance(one, list):
            pending += one
        elif isinstance(one, str):
            found.add(one)
    return found


def occurring(names: Iterable[str], words: Words) -> Iterable[str]:
    """The names that values have."""
    return names if words is None else [name for name in names if name in words]


def choosable(targets: Mapping[str, list[str]], words: Words) -> Iterator[tuple[str, list[str]]]:
    """The schemas that a discriminator may choose, each with the values that choose it."""
    for target, values in targets.items():
        if words is None or not words.isdisjoint(values):
            yield target, values
