"""Moments as people write them: `1h` (ago), `-1d`, RFC 3339, or seconds since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from server.query.errors import BadValue

UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
NS = 1_000_000_000
MAX_NS = 2**63 - 1  # the store's largest time: the year 2262
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXPECTED = "such as 1h or -1d (ago), 2026-03-01T12:00:00Z, or seconds since 1970"

_AGO = re.compile(rf"-?(\d{{1,9}})({'|'.join(sorted(UNITS_S, key=len, reverse=True))})", re.ASCII)
_SECONDS = re.compile(r"\d{9,11}", re.ASCII)  # from 1973 to 5138
_MILLISECONDS = re.compile(r"\d{12,14}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d.*", re.ASCII)


def moment(text: str, now: int) -> int:
    """The time in ns, within what the store holds; without a zone it is UTC. `now` is in ns. Raises
    BadValue.
    """
    if found := _AGO.fullmatch(text):
        return max(0, now - int(found[1]) * UNITS_S[found[2]] * NS)
    if _SECONDS.fullmatch(text):
        return min(int(text) * NS, MAX_NS)
    if _MILLISECONDS.fullmatch(text):
        return min(int(text) * 1_000_000, MAX_NS)
    try:
        return _nanoseconds(datetime.fromisoformat(text if _DATE.fullmatch(text) else ""))
    except ValueError:
        raise BadValue(f"is not a time: {EXPECTED}") from None


def _nanoseconds(found: datetime) -> int:
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    since = found - EPOCH
    ns = (since.days * 86_400 + since.seconds) * NS + since.microseconds * 1000
    return min(max(0, ns), MAX_NS)
