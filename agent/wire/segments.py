"""Which segments of a path no agent masks: a masked one was none of them.

So `/tokens/{id}` is told from `/tokens/revoke`.
"""

from __future__ import annotations

import re

MAX_PLAIN = 31  # characters; longer text may look random

PLAIN = r"(?:[a-z]+(?:[A-Z][a-z]+)*(?:[-_.][a-z]+)*|v\d{1,2})"
_PLAIN = re.compile(PLAIN)


def is_plain(segment: str) -> bool:
    """Whether a segment, decoded, consists of words or is a version: such a one is kept."""
    return len(segment) <= MAX_PLAIN and _PLAIN.fullmatch(segment) is not None
