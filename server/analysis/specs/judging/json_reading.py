"""JSON text in UTF-8 → a value, within bounds."""

from __future__ import annotations

import json
import re
from typing import Never

from server.analysis.json import Json
from server.analysis.specs.schemas.cost import MAX_BODY_DEPTH


class NotJson(ValueError):
    """The bytes are not JSON text in UTF-8."""


class UnreadableJson(ValueError):
    """The text nests too deeply, a number in it is too long, or a string is no Unicode (half of a
    surrogate pair), to be read within bounds.
    """


class _Constant(Exception):
    """NaN or Infinity, which Python's parser takes and JSON does not have."""


def _refuse(name: str) -> Never:
    raise _Constant


_BYTE_ORDER_MARK = "\ufeff"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_DECODER = json.JSONDecoder(parse_constant=_refuse)


def json_value(raw: bytes, depth: int = MAX_BODY_DEPTH) -> Json:
    """The JSON value in `raw`. Raises NotJson, Unreadable."""
    return _bounded(_parsed(raw), raw, depth)


class JsonBodies:
    """The JSON bodies of one exchange, each parsed once, whoever reads it: its judgement, then coverage.

    It belongs to whoever handles the exchange, and goes with it. Not for two threads.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: list[tuple[bytes, Json]] = []

    def value(self, raw: bytes, depth: int = MAX_BODY_DEPTH) -> Json:
        """As `json_value`; who gets the value must not change it."""
        for known, value in self._known:
            if known is raw:
                return _bounded(value, raw, depth)
        value = _parsed(raw)
        self._known.append((raw, value))
        return _bounded(value, raw, depth)


def _bounded(value: Json, raw: bytes, depth: int) -> Json:
    if _openings(raw) > depth and _is_deeper(value, depth):
        raise UnreadableJson
    return value


def _openings(raw: bytes) -> int:
    """How many brackets open, those in strings included; counting each takes five times as long."""
    return len(raw) - len(raw.translate(None, b"[{"))


def _parsed(raw: bytes) -> Json:
    try:
        value: Json = _DECODER.decode(raw.decode().removeprefix(_BYTE_ORDER_MARK))
    except (json.JSONDecodeError, UnicodeDecodeError, _Constant):
        raise NotJson from None
    except (RecursionError, ValueError):  # the latter for integers of thousands of digits
        raise UnreadableJson from None
    if _SURROGATE.search(raw):
        _refuse_halves(value)
    return value


def _refuse_halves(value: Json) -> None:
    """Raises Unreadable where an escape left half of a surrogate pair, which no validator takes."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UnreadableJson from None


def _is_deeper(value: Json, depth: int) -> bool:
    level = [value]
    while level and depth >= 0:
        depth -= 1
        level = [
            below
            for one in level
            if isinstance(one, (dict, list))
            for below in (one.values() if isinstance(one, dict) else one)
        ]
    return bool(level)
