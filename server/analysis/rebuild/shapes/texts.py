"""The readings of a text: formats of JSON Schema, and in parameters numbers and booleans.

A place keeps the readings that all its texts allow, as bits of one number, so that two places merge by `&`.
The formats are those that the validators check, so that learned values conform.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from jsonschema_rs import Draft202012Validator

LONGEST_FORMATTED = 2048  # characters; longer text has no format

INTEGER, NUMBER, BOOLEAN = 1, 2, 4
FORMATS = (
    "uuid",
    "date-time",
    "date",
    "time",
    "duration",
    "ipv4",
    "ipv6",
    "email",
    "uri",
    "uri-template",
    "hostname",
)
_BITS = {name: 8 << index for index, name in enumerate(FORMATS)}
ALL = (8 << len(FORMATS)) - 1
WIRE = INTEGER | NUMBER | BOOLEAN  # readings of a text that is not a JSON string
OF_JSON = ALL & ~WIRE
HOSTNAME = _BITS["hostname"]

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})\.[0-9]{1,30}")
_HOSTNAME = re.compile(r"(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}")
_CHECKS = {
    name: Draft202012Validator({"type": "string", "format": name}, validate_formats=True).is_valid
    for name in FORMATS
}


_ONE_LEFT = {bit: _CHECKS[name] for name, bit in _BITS.items()}
_ONE_LEFT[_BITS["uri"] | _BITS["uri-template"]] = _CHECKS["uri"]  # each URI is also a template


def still(bits: int, text: str) -> int:
    """A place's bits after one more text."""
    check = _ONE_LEFT.get(bits)
    if check is not None and len(text) <= LONGEST_FORMATTED and check(text):
        return bits
    return bits & readings(text)


@lru_cache(maxsize=8192)
def readings(text: str) -> int:
    """The bits of all readings of a text."""
    if not 0 < len(text) <= LONGEST_FORMATTED:
        return 0
    if text in ("true", "false"):
        return BOOLEAN
    found = 0
    if _INTEGER.fullmatch(text):
        found = INTEGER | NUMBER
    elif _NUMBER.fullmatch(text):
        found = NUMBER
    for name in _candidates(text):
        if _CHECKS[name](text):
            found |= _BITS[name]
    return found


def hidden_readings(text: str) -> int:
    """The same for a placeholder, which keeps the format and has only zeros as digits."""
    return readings(text) | (INTEGER | NUMBER if text and not text.strip("0") else 0)


def _candidates(text: str) -> Iterator[str]:
    """Formats that a text may have by its characters: checking all formats would cost ten times as much."""
    if len(text) == 36 and text[8] == "-":
        yield "uuid"
    if text[4:5] == "-":
        yield "date" if len(text) == 10 else "date-time"
    if text[2:3] == ":":
        yield "time"
    if text[0] == "P":
        yield "duration"
    if text.count(".") == 3 and text[0].isdecimal():
        yield "ipv4"
    if "://" in text:
        yield from ("uri", "uri-template")
    elif text.count(":") > 1:
        yield "ipv6"
    if "@" in text:
        yield "email"
    elif "." in text and _HOSTNAME.fullmatch(text):
        yield "hostname"


def format_of(bits: int) -> str | None:
    """The remaining format; the most specific one of several."""
    return next((name for name, bit in _BITS.items() if bits & bit), None)
