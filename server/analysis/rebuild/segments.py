"""Classifies one segment by itself: a value of a known kind, a version, or a word."""

from __future__ import annotations

import re
from functools import lru_cache

SHORT = 20  # characters below which letters alone are a word
LONGEST_WORD = 120  # characters; longer ones are values, and not kept
OPAQUE = "opaque"  # hex, long random text, addresses, masked values

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_KINDS = re.compile(
    rf"""(?P<integer>[+-]?\d+)
      | (?P<number>[+-]?\d+[.,]\d+)
      | (?P<uuid>{_UUID})
      | (?P<date>\d{{4}}-[01]\d-[0-3]\d)
      | (?P<date_time>\d{{4}}-[01]\d-[0-3]\d[T_ ].*)
      | (?P<email>[^@/\s]+@[^@/]+\.[a-z]{{2,}})
      | (?P<opaque>
            (?=[^\d]*\d)(0x)?[0-9a-f]{{7,}}                   # hex with a digit in it
          | (?=[^\d]*\d)(?=.*[a-z])[\w~=]{{16,}}              # long, digits and letters mixed, one piece
          | (?=(?:[^\d]*\d){{3}})(?=.*[a-z])[\w.~=-]{{22,}}
          | \d+(?:[.,:]\d+)+                                  # 1.2.3, addresses
          | [+-]?\d[\d-]{{6,}}                                # telephone numbers and the like
        )
    """,
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
_VERSION = re.compile(r"v\d+((alpha|beta|rc)\d*)?", re.IGNORECASE | re.ASCII)
_FORMATS = "json|xml|csv|tsv|ya?ml|html?|txt|pdf|zip|gz|png|jpe?g|svg|rss|atom"
_SUFFIX = re.compile(rf"(?P<stem>.+?)(?P<suffix>\.(?:{_FORMATS})|:[A-Za-z]{{2,24}})", re.ASCII | re.DOTALL)


@lru_cache(maxsize=16384)
def kind_of(segment: str) -> str | None:
    """The kind of value in a segment, with its suffix: "uuid", "opaque.json"; None for a word."""
    if segment.isalpha() and len(segment) < SHORT:
        return None
    if len(segment) > LONGEST_WORD or "\0" in segment:
        return OPAQUE
    stem, suffix = split_suffix(segment)
    kind = _kind(stem)
    if kind is None:
        return _kind(segment) if suffix else None
    return kind + suffix


def _kind(text: str) -> str | None:
    found = _KINDS.fullmatch(text)
    return None if found is None or is_version(text) else str(found.lastgroup).replace("_", "-")


def is_version(segment: str) -> bool:
    """Whether a segment is a version of an API: v1, v2beta1."""
    return _VERSION.fullmatch(segment) is not None


@lru_cache(maxsize=16384)
def split_suffix(segment: str) -> tuple[str, str]:
    """Stem and suffix of "report.json", "jobs:cancel"; an empty suffix if there is none."""
    found = _SUFFIX.fullmatch(segment)
    return (found["stem"], found["suffix"]) if found else (segment, "")
