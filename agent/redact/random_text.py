"""Whether letters and digits are random, like keys and tokens in base64, and not made of words.

Each two neighbours give points, rounded base-two logarithms of how much likelier they are in random text
than in names, paths and identifiers: by their kinds (a capital behind a small letter, a digit behind a
letter, …), and, where both are letters, by whether they are among the `COMMON` pairs of English words,
which are most of the pairs in words and a seventh of those in random text. A part between two
separators decides for the whole, so that words around a key do not hide it.

README.md of this folder states the error rates in both directions.
"""

from __future__ import annotations

import math
import re
from itertools import accumulate, pairwise, product
from string import ascii_lowercase, ascii_uppercase, digits

LENGTH = 32  # characters of the shortest text recognised as random; ids must not be
ENOUGH = 12  # points that make a text random
LEAST_OF_CASE = 2  # capitals, and small letters: hexadecimal ids and base32 have only one kind
LEAST_ENTROPY = 3.5  # bits per character; repetition has less

SEPARATORS = "+/_=.-"
_PAIRS = """
    ac ai al am an ap ar as at ca ce ch cl co cr ct da de di ea ec ed ef el em en ep eq er es et fi ge gu
    ic id ig il in io is it je la le li lo ma me na nc nd ne nf ng ni ns nt oc oj ol om on or ou pe pi pl
    po pr qu ra re ri ro rs sc se si sl so sp sr ss st ta tc te ti to tr ts ty ue up ur us ut ve vi
"""
COMMON = frozenset(_PAIRS.split())
_KINDS = (
    dict.fromkeys(ascii_uppercase, "A")
    | dict.fromkeys(ascii_lowercase, "a")
    | dict.fromkeys(digits, "0")
    | dict.fromkeys(SEPARATORS, "-")
)
_BY_KINDS = (
    {"AA": 0, "Aa": -1, "A0": 2, "A-": -1}
    | {"aA": 2, "aa": -1, "a0": 2, "a-": -1}
    | {"0A": 2, "0a": 1, "00": -2, "0-": -2}
    | {"-A": 0, "-a": -1, "-0": -1, "--": 0}
)


def _points(one: str, other: str) -> int:
    points = _BY_KINDS[_KINDS[one] + _KINDS[other]]
    if one.isalpha() and other.isalpha():
        points += -2 if (one + other).lower() in COMMON else 2
    return points


_POINTS = {pair: _points(*pair) for pair in product(_KINDS, repeat=2)}
_SEPARATOR = re.compile(f"[{SEPARATORS}]")
_HEXADECIMAL_ID = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{1,4}(?:[0-9a-f]{32,}+|[0-9A-F]{32,}+)(?![A-Za-z0-9])"
)  # with the letters of its kind before it, such as Twilio's `AC…` and `SK…`
_ENTROPY_OF = 256  # characters


def is_random(text: str) -> bool:
    """Whether `text`, of LENGTH or more ASCII letters, digits and SEPARATORS, has a random part."""
    if text in (text.lower(), text.upper()):
        return False
    part = _best_part(_HEXADECIMAL_ID.sub("", text))
    in_cases = sum(map(str.isupper, part)), sum(map(str.islower, part))
    return min(in_cases) >= LEAST_OF_CASE and _entropy(part[:_ENTROPY_OF]) >= LEAST_ENTROPY


def _best_part(text: str) -> str:
    """The part between two separators with the most points; "" if none has ENOUGH."""
    so_far = list(accumulate(map(_POINTS.__getitem__, pairwise(text)), initial=0))
    separators = [match.start() for match in _SEPARATOR.finditer(text)]
    starts, ends = [0, *(at + 1 for at in separators), len(text)], [*separators, len(text)]
    best, most, first, tried = "", ENOUGH, 0, 0
    for end in ends:
        while starts[tried] + LENGTH <= end:
            first = min(first, starts[tried], key=so_far.__getitem__)
            tried += 1
        if tried and so_far[end - 1] - so_far[first] > most:
            best, most = text[first:end], so_far[end - 1] - so_far[first]
    return best


def _entropy(text: str) -> float:
    shares = [text.count(char) / len(text) for char in set(text)]
    return -sum(share * math.log2(share) for share in shares)
