"""A call with a deviation, if still stored, and its unmasked values."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.wire import Record, Request, Response
from server.analysis.json import Json
from server.analysis.specs.document.media import essence
from server.analysis.specs.document.pointers import pointer
from server.analysis.specs.kinds import Where

_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
_BODIES = (Where.REQUEST_BODY, Where.RESPONSE_BODY)


@dataclass(frozen=True, slots=True)
class Shown:
    """A value of a sample; it may be null."""

    value: Json


class Sample:
    """`record` is None if no exchange with the deviation is stored any more."""

    def __init__(self, record: Record | None) -> None:
        self._record = record

    @property
    def status(self) -> int | None:
        """The response's status."""
        response = self._record.response if self._record else None
        return None if response is None else response.status

    def media_type(self, where: str) -> str | None:
        """The media type of the body at `where`; of the response's body for any other place."""
        message = self._message(where)
        kind = essence(message.content_type or "") if message else ""
        return kind if _MEDIA_TYPE.fullmatch(kind) else None

    def value(self, where: str, tokens: Sequence[str]) -> Shown | None:
        """The value at a place in a body; None if it was not captured, or was masked."""
        message = self._message(where)
        if where not in _BODIES or message is None or message.body.data is None:
            return None
        if self._is_masked(where, pointer(tokens)):
            return None
        try:
            shown = Shown(json.loads(message.body.data))
        except (ValueError, RecursionError):
            return None
        return _below(shown, tokens)

    def _message(self, where: str) -> Request | Response | None:
        if self._record is None:
            return None
        return self._record.request if where == Where.REQUEST_BODY else self._record.response

    def _is_masked(self, where: str, place: str) -> bool:
        masks = self._record.masks if self._record else ()
        return any(mask.where == where and mask.pointer == place for mask in masks)


def _below(shown: Shown, tokens: Sequence[str]) -> Shown | None:
    """The value at these tokens; "*" is an array's first item."""
    for token in tokens:
        value = shown.value
        if isinstance(value, dict) and token in value:
            shown = Shown(value[token])
            continue
        index = 0 if token == "*" else int(token) if token.isdecimal() else None
        if not isinstance(value, list) or index is None or index >= len(value):
            return None
        shown = Shown(value[index])
    return shown
