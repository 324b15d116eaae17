"""Values of JSON logs as their writers put them: at one of several places, in one of several forms."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from agent.http.messages import Headers
from agent.sources import fields

SECOND = 1_000_000_000
_MILLISECONDS_FROM = 1e11  # a larger number of seconds is beyond the year 5000
_MICROSECONDS_FROM = 1e14
_COMMON_LOG = "%d/%b/%Y:%H:%M:%S %z"
_ABSENT = ("", "-")  # what web servers write for nothing


def at(entry: dict[str, Any], places: tuple[tuple[str, ...], ...], kind: type = object) -> Any:
    """The first value of this kind at any of these places, other than null, "" and "-"; None if there is
    none.
    """
    for place in places:
        found: Any = entry
        for name in place:
            found = found.get(name) if isinstance(found, dict) else None
        if found is not None and isinstance(found, kind) and found not in _ABSENT:
            return found
    return None


def headers_of(found: Any) -> Headers:
    """Header fields, names in lower case, from an object with texts or lists, or a list of names and
    values.
    """
    if isinstance(found, list):
        return fields.headers({"headers": found}, "headers")
    pairs: list[tuple[bytes, bytes]] = []
    for name, value in found.items() if isinstance(found, dict) else ():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, (str, int, float)) and name and len(pairs) < fields.MAX_HEADERS:
                pairs.append((fields.encoded(name.lower()), fields.encoded(str(one))))
    return tuple(pairs)


def moment_ns(found: Any) -> int | None:
    """Nanoseconds since the epoch of a time: RFC 3339, the common log format's, or a number of seconds, ms or
    µs.
    """
    if isinstance(found, str):
        stated = fields.time_ns(found)
        if stated is None and re.fullmatch(r"\[?\d\d/\w{3}/\d{4}:[\d:]{8} [+-]\d{4}\]?", found, re.ASCII):
            return _common_log_ns(found.strip("[]"))
        if stated is not None or not re.fullmatch(r"\d{1,17}(?:\.\d{1,9})?", found, re.ASCII):
            return stated
        found = float(found)
    if not isinstance(found, (int, float)) or isinstance(found, bool) or not 0 < found < fields.MAX_TIME_NS:
        return None
    unit = 1000 if found >= _MICROSECONDS_FROM else SECOND // 1000 if found >= _MILLISECONDS_FROM else SECOND
    ns = int(found * unit)
    return ns if ns < fields.MAX_TIME_NS else None


def _common_log_ns(found: str) -> int | None:
    try:
        seconds = int(datetime.strptime(found, _COMMON_LOG).timestamp())
    except ValueError:
        return None
    return seconds * SECOND if seconds >= 0 else None


def target_of(
    url: str | None, host: str | None, path: str | None
) -> tuple[str | None, str | None, str] | None:
    """Scheme, authority and target of a request; None without a path."""
    stated = url or path
    if stated is None:
        return None
    if stated.startswith("/"):
        return None, host, stated.partition("#")[0]
    try:
        parts = urlsplit(stated)
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https"):
        return None, host, "/" + stated
    authority = parts.netloc.rpartition("@")[2]  # a client sends no user and password in Host
    query = f"?{parts.query}" if parts.query else ""
    return parts.scheme.lower(), authority, (parts.path or "/") + query
