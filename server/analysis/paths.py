"""Provisional path templates, for APIs that have no specification yet.

One rule, for each segment alone: a segment that can only be a value (digits, UUID, hex, date, long random
text) becomes a variable, every other one stays. So a path always has the same template, whatever came before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

MAX_SEGMENTS = 32
SHORT = 20
MAX_SEGMENT = 120  # characters kept of a literal segment

_DATE = re.compile(r"\d{4}-[01]\d(-[0-3]\d([T_ ].*)?)?")
_VALUE = re.compile(
    r"""[+-]?\d+([.,]\d+)*                                        # numbers, versions such as 1.2.3
      | [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}  # UUID
      | (?=[^\d]*\d)(0x)?[0-9a-f]{8,}                             # hex with a digit in it
      | (?=[^\d]*\d)(?=.*[a-z])[\w.~=-]{22,}                      # long, random: digits and letters mixed
      | [^@/]+@[^@/]+\.[a-z]{2,}                                  # mail address
    """,
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)


def template(path: bytes, masked: Iterable[int] = ()) -> str:
    """The template of a path as sent, such as "/users/{id}/orders".

    `masked` are the indices of segments (0 after the first slash) whose value the agent replaced. Bytes that
    are not UTF-8 are percent-encoded.
    """
    return _template(path, frozenset(masked))


@lru_cache(maxsize=8192)
def _template(path: bytes, masked: frozenset[int]) -> str:
    segments = text(path).split("/")
    if len(segments) > MAX_SEGMENTS:
        segments = [*segments[:MAX_SEGMENTS], "…"]
    return "/".join(
        "{id}" if index - 1 in masked else _segment(segment) for index, segment in enumerate(segments)
    )


def text(path: bytes) -> str:
    """A path as text; bytes that are not UTF-8 are percent-encoded."""
    try:
        return path.decode()
    except UnicodeDecodeError:
        return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in path)


def _segment(segment: str) -> str:
    if segment.isalpha() and len(segment) < SHORT:  # most are words; the patterns are not needed
        return segment
    if segment.isdecimal() and segment.isascii():
        return "{id}"
    if _DATE.fullmatch(segment):
        return "{date}"
    if _VALUE.fullmatch(segment):
        return "{id}"
    stem, dot, extension = segment.rpartition(".")
    if dot and extension.isalpha() and len(extension) <= 5 and _VALUE.fullmatch(stem):
        return "{id}." + extension
    return segment if len(segment) <= MAX_SEGMENT else segment[:MAX_SEGMENT] + "…"
