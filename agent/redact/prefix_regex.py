"""Which of many words is in a text, by one pattern that shares their beginnings."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby

SHORT = 320  # bytes; in a longer text looking for one word after the other is faster


def any_of(words: Iterable[bytes]) -> re.Pattern[bytes]:
    """What finds any of `words`, none of them empty."""
    return re.compile(_branches(sorted(set(words))))


def _branches(words: list[bytes]) -> bytes:
    if b"" in words:
        return b""  # a word ends here, so that it does not matter how longer ones go on
    first = [
        re.escape(letter) + _branches([word[1:] for word in group])
        for letter, group in groupby(words, lambda word: word[:1])
    ]
    return first[0] if len(first) == 1 else b"(?:" + b"|".join(first) + b")"
