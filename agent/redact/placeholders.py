"""Placeholders for masked values: same type, same format, same length class, nothing else.

The filler is plain letters, so a placeholder is also valid base64, a URL component and a cookie value.
"""

from __future__ import annotations

import re

MAX_DIGITS = 20
CLASSES = (8, 32, 128)
LONGEST = 132  # for all texts longer than the last class
_FILLERS = tuple((size, "redacted".ljust(size, "x")) for size in CLASSES)
_LONGEST = "redacted".ljust(LONGEST, "x")
MAX_FORMATTED = 2048  # characters; the format of longer text is not kept
MAX_NUMBER = 64  # characters; longer literals are not evaluated

_FORMATS = re.compile(
    r"(?P<uuid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"
    r"|(?P<datetime>\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,12})?(?:[Zz]|[+-]\d\d:\d\d))"
    r"|(?P<date>\d{4}-\d\d-\d\d)"
    r"|(?P<time>\d\d:\d\d:\d\d(?:\.\d{1,12})?(?:[Zz]|[+-]\d\d:\d\d))"
    r"|(?P<ipv4>(?:\d{1,3}\.){3}\d{1,3})"
    r"|(?P<digits>[+-]?[0-9]+)"
    r"|(?P<decimal>[+-]?\d+\.\d+)"
    r"|(?P<email>[^\s@:/]{1,64}@[A-Za-z0-9.-]{1,255})"
    r"|(?P<uri>[A-Za-z][A-Za-z0-9+.-]{1,31}://\S*)"
    r"|(?P<ipv6>(?=[^:]*:[^:]*:)[0-9a-fA-F:]{2,39}(?:\d{1,3}(?:\.\d{1,3}){3})?)"
    r"|(?P<duration>P(?=[0-9T])(?:\d+[YMWD])*(?:T(?:\d+(?:\.\d+)?[HMS])+)?)",
    re.ASCII,
)
_STANDINS = {
    "uuid": "00000000-0000-0000-0000-000000000000",
    "datetime": "1970-01-01T00:00:00Z",
    "date": "1970-01-01",
    "time": "00:00:00Z",
    "ipv4": "0.0.0.0",
    "decimal": "0.5",
    "email": "redacted@redacted.invalid",
    "uri": "https://redacted.invalid/",
    "ipv6": "::",
    "duration": "PT0S",
}


def of_text(value: str) -> str:
    """The placeholder for a text: in its format if it has one, else filler of its length class."""
    if not value:
        return ""
    match = _FORMATS.fullmatch(value) if len(value) <= MAX_FORMATTED else None
    if match is None:
        return filler(len(value))
    kind = str(match.lastgroup)
    return "0" * min(len(value.lstrip("+-")), MAX_DIGITS) if kind == "digits" else _STANDINS[kind]


def of_number(literal: str) -> str:
    """The placeholder for a JSON number: an integer stays an integer, in the same notation."""
    if not any(mark in literal for mark in ".eE"):
        return "0"
    whole = len(literal) <= MAX_NUMBER and float(literal).is_integer()
    return "0.0" if whole else "0.5"


def filler(length: int) -> str:
    """`redacted`, padded to the length class of `length` characters."""
    for size, text in _FILLERS:
        if length <= size:
            return text
    return _LONGEST


def of_bytes(length: int) -> bytes:
    """The placeholder for a file of `length` bytes."""
    return filler(length).encode()
