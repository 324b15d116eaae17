"""How many of the secrets that were planted leaked, by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def by_class(planted: Iterable[str], leaked: Iterable[str]) -> str:
    """A line per class, each secret given by its class."""
    all_planted, all_leaked = Counter(planted), Counter(leaked)
    width = max(map(len, all_planted))
    lines = [f"  {name:{width}} {all_leaked[name]:4} ÷ {all_planted[name]}" for name in all_planted]
    return "\n".join(
        ["leaked ÷ planted", *lines, f"  {'all':{width}} {all_leaked.total():4} ÷ {all_planted.total()}"]
    )
