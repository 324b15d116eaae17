"""JSON text in UTF-8 → a value, within bounds."""

from __future__ import annotations

import json
import re
from typing import Never

from msgspec import MsgspecError
from msgspec.json import Decoder

from server.analysis.json import Json, is_deeper
from server.analysis.specs.schemas.cost import MAX_BODY_DEPTH


class NotJson(ValueError):
    """The bytes are not JSON text in UTF-8."""


class UnreadableJson(ValueError):
    """The text is not read: it nests too deeply, a number is too long, or a string has half of a surrogate
    pair.
    """


class _Constant(Exception):
    """NaN or Infinity, which Python's parser accepts and JSON does not have."""


def _refuse(name: str) -> Never:
    raise _Constant


_BYTE_ORDER_MARK = "\ufeff"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_decode = Decoder().decode
_DECODER = json.JSONDecoder(parse_constant=_refuse)


def json_value(raw: bytes, depth: int = MAX_BODY_DEPTH) -> Json:
    """The JSON value in `raw`. Raises NotJson, UnreadableJson."""
    return _bounded(_parsed(raw), _openings(raw), depth)


class JsonBodies:
    """The JSON bodies of one exchange, each parsed once for validation and coverage.

    It lives as long as the exchange is processed. Not thread-safe.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: list[tuple[bytes, Json, int]] = []

    def value(self, raw: bytes, depth: int = MAX_BODY_DEPTH) -> Json:
        """Like `json_value`; callers must not change the value."""
        for known, value, openings in self._known:
            if known is raw:
                return _bounded(value, openings, depth)
        value, openings = _parsed(raw), _openings(raw)
        self._known.append((raw, value, openings))
        return _bounded(value, openings, depth)


def _bounded(value: Json, openings: int, depth: int) -> Json:
    if openings > depth and is_deeper(value, depth):
        raise UnreadableJson
    return value


def _openings(raw: bytes) -> int:
    """The number of opening brackets, including those in strings; excluding them takes five times as long."""
    return len(raw) - len(raw.translate(None, b"[{"))


def _parsed(raw: bytes) -> Json:
    try:
        found: Json = _decode(raw)
    except (MsgspecError, ValueError, RecursionError):
        return _oddly_parsed(raw)
    return found


def _oddly_parsed(raw: bytes) -> Json:
    """JSON that the faster decoder refuses: with a byte order mark, or numbers beyond a double's range."""
    try:
        value: Json = _DECODER.decode(raw.decode().removeprefix(_BYTE_ORDER_MARK))
    except (json.JSONDecodeError, UnicodeDecodeError, _Constant):
        raise NotJson from None
    except (RecursionError, ValueError):  # ValueError for integers of thousands of digits
        raise UnreadableJson from None
    if _SURROGATE.search(raw):
        _refuse_halves(value)
    return value


def _refuse_halves(value: Json) -> None:
    """Raises UnreadableJson if an escape left half of a surrogate pair, which validators do not accept."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UnreadableJson from None
