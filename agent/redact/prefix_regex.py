"""Finds which of many words is in a text, by one pattern that shares their prefixes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

SHORT = 320  # bytes; in a longer text searching for each word separately is faster


def any_of(words: Iterable[bytes]) -> re.Pattern[bytes]:
    """A function that finds any of `words`, none of them empty."""
    return re.compile(_branches(sorted(set(words))))


def _branches(words: list[bytes]) -> bytes:
    if b"" in words:
        return b""  # a word ends here: longer ones need not be matched
    first = [
        re.escape(letter) + _branches([word[1:] for word in group])
        for letter, group in groupby(words, lambda word: word[:1])
    ]
    return first[0] if len(first) == 1 else b"(?:" + b"|".join(first) + b")"
