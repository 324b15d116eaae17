"""What one segment looks like by itself: a value of a known kind, a version, or a word that may be either."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

LONGEST_WORD = 120  # characters; what is longer is a value, and not kept


class Kind(StrEnum):
    """Kinds of values that show in the text alone."""

    INTEGER = "integer"
    NUMBER = "number"
    UUID = "uuid"
    DATE = "date"
    DATE_TIME = "date-time"
    EMAIL = "email"
    OPAQUE = "opaque"  # hex, long random text, what the agent masked


_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_KINDS = re.compile(
    rf"""(?P<integer>[+-]?\d+)
      | (?P<number>[+-]?\d+[.,]\d+)
      | (?P<uuid>{_UUID})
      | (?P<date>\d{{4}}-[01]\d-[0-3]\d)
      | (?P<datetime>\d{{4}}-[01]\d-[0-3]\d[T_ ].*)
      | (?P<email>[^@/\s]+@[^@/]+\.[a-z]{{2,}})
      | (?P<opaque>
            (?=[^\d]*\d)(0x)?[0-9a-f]{{7,}}                   # hex with a digit in it
          | (?=[^\d]*\d)(?=.*[a-z])[\w~=]{{16,}}              # long, digits and letters mixed, one piece
          | (?=(?:[^\d]*\d){{3}})(?=.*[a-z])[\w.~=-]{{22,}}
          | \d+(?:[.,:]\d+)+(?:/\d+)?                         # 1.2.3, addresses
          | [+-]?\d[\d-]{{6,}}                                # telephone numbers and the like
        )
    """,
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
_VERSION = re.compile(r"v\d+(\.\d+)*((alpha|beta|rc)\d*)?", re.IGNORECASE | re.ASCII)
_SUFFIX = re.compile(r"(?P<stem>.+?)(?P<suffix>[.:][A-Za-z]{2,12})", re.ASCII | re.DOTALL)


@lru_cache(maxsize=16384)
def kind_of(segment: str) -> Kind | None:
    """The kind a segment is a value of; None for a word."""
    if segment.isalpha() and len(segment) < 20:
        return None
    if len(segment) > LONGEST_WORD or "\0" in segment:
        return Kind.OPAQUE
    found = _KINDS.fullmatch(segment)
    if found is None or is_version(segment):
        return None
    return Kind.DATE_TIME if found.lastgroup == "datetime" else Kind(str(found.lastgroup))


def is_version(segment: str) -> bool:
    """Whether a segment is a version of an API: v1, v2beta1, v1.0."""
    return _VERSION.fullmatch(segment) is not None


def split_suffix(segment: str) -> tuple[str, str]:
    """Stem and suffix of "report.json", "jobs:cancel"; an empty suffix if there is none."""
    found = _SUFFIX.fullmatch(segment)
    return (found["stem"], found["suffix"]) if found else (segment, "")
