"""Reads values from untrusted decoded JSON: of the wanted type, or absent."""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, NoReturn

from msgspec import MsgspecError
from msgspec.json import Decoder

from agent.http.messages import Headers, header
from agent.sources.reported import EntryError, NotBase64

MAX_BRACKETS = 500_000
"""Objects and arrays of one entry: decoded, each takes some fifty times its two bytes."""

MAX_HEADERS = 1000
MAX_REMEMBERED = 1024  # addresses and minutes, since neighbouring entries share them
MAX_TIME_NS = 2**62

_decode = Decoder().decode
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,12}))?(Z|z|[+-]\d\d:?\d\d)?")


def decoded(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw`. Raises EntryError."""
    check_brackets(raw)
    try:
        found = _decode(raw)
    except (MsgspecError, UnicodeDecodeError):
        found = _odd(raw)
    except RecursionError:
        raise EntryError("nested too deeply") from None
    if not isinstance(found, dict):
        raise EntryError("not a JSON object")
    return found


def check_brackets(raw: bytes) -> None:
    """Raises EntryError for JSON that takes too much memory decoded."""
    if len(raw) > MAX_BRACKETS and raw.count(b"{") + raw.count(b"[") > MAX_BRACKETS:
        raise EntryError("too many objects in it")


def _odd(raw: bytes) -> Any:
    """JSON with halves of surrogate pairs or numbers too large, which the faster decoder refuses."""
    try:
        return json.loads(raw, parse_constant=_no_constant)
    except RecursionError:
        raise EntryError("nested too deeply") from None
    except ValueError:
        raise EntryError("not JSON") from None


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def part(value: dict[str, Any], name: str) -> dict[str, Any]:
    """An object inside an object; empty if there is none."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def parts(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of an array inside an object."""
    found = value.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def text(value: dict[str, Any], name: str) -> str | None:
    """A text that is not empty; else None."""
    found = value.get(name)
    return found if isinstance(found, str) and found else None


def number(value: dict[str, Any], name: str) -> float | None:
    """A number that is not negative: several formats use -1 for unknown."""
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    return float(found) if 0 <= found < MAX_TIME_NS else None  # also excludes NaN


def known(found: float | None) -> float | None:
    """A number as `number` reads it, of a value whose type is known."""
    return found if found is not None and 0 <= found < MAX_TIME_NS else None


def whole(found: float | None) -> int | None:
    """The same as a whole number, such as a size."""
    return int(found) if found is not None and 0 <= found < MAX_TIME_NS else None


def size(value: dict[str, Any], name: str) -> int | None:
    return whole(number(value, name))


def encoded(found: str) -> bytes:
    """Text as UTF-8; halves of surrogate pairs, possible in JSON, are replaced."""
    return found.encode("utf-8", "replace")


def base64(found: str) -> bytes:
    """Decodes base64. Raises NotBase64."""
    try:
        return b64decode("".join(found.split()), validate=True)
    except (binascii.Error, ValueError):
        raise NotBase64 from None


def with_default(headers: Headers, name: bytes, value: str | None) -> Headers:
    """The headers, with this one if they do not have it and there is a value."""
    if value is None or header(headers, name) is not None:
        return headers
    return (*headers, (name, encoded(value)))


def headers(value: dict[str, Any], key: str, name: str = "name") -> Headers:
    """Header fields from an array of objects, names in lower case."""
    found = value.get(key)
    if not isinstance(found, list):
        return ()
    pairs = []
    for item in found[:MAX_HEADERS]:
        if isinstance(item, dict):
            field, content = item.get(name), item.get("value")
            if isinstance(field, str) and field and isinstance(content, str):
                pairs.append((field.lower().encode("utf-8", "replace"), content.encode("utf-8", "replace")))
    return tuple(pairs)


def ip(found: str) -> str | None:
    """An address in its canonical form: without brackets and zone, IPv4 if mapped into IPv6."""
    return _ip(found) if 0 < len(found) < 64 else None


@lru_cache(MAX_REMEMBERED)
def _ip(found: str) -> str | None:
    try:
        known = ip_address(found.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = known.ipv4_mapped if isinstance(known, IPv6Address) else None
    return str(mapped or known)


def time_ns(found: str | None) -> int | None:
    """Nanoseconds since the epoch of an RFC 3339 time; UTC if it has no zone."""
    match = _TIME.fullmatch(found) if found and len(found) < 64 else None
    if match is None:
        return None
    date, clock, fraction, zone = match.groups()
    minute, second = _minute(date, clock[:5], zone), int(clock[6:])
    if minute is None or second > 59:
        return None
    ns = (minute + second) * 1_000_000_000 + int((fraction or "0")[:9].ljust(9, "0"))
    return ns if 0 <= ns < MAX_TIME_NS else None


@lru_cache(MAX_REMEMBERED)
def _minute(date: str, clock: str, zone: str | None) -> int | None:
    """Seconds since the epoch at the start of a minute, such as "12:30"."""
    zone = zone.upper().replace("Z", "+00:00") if zone else "+00:00"
    try:
        at = datetime.fromisoformat(f"{date}T{clock}:00{zone}")
        return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
