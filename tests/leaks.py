"""Counts leaked secrets by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def by_class(planted: Iterable[str], leaked: Iterable[str]) -> str:
    """One line per class, from the class of each secret."""
    all_planted, all_leaked = Counter(planted), Counter(leaked)
    width = max(map(len, all_planted))
    lines = [f"  {name:{width}} {all_leaked[name]:4} ÷ {all_planted[name]}" for name in all_planted]
    return "\n".join(
        ["leaked ÷ planted", *lines, f"  {'all':{width}} {all_leaked.total():4} ÷ {all_planted.total()}"]
    )
