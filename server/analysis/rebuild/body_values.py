"""The value of a body, for the content types that can be learned: JSON, sequences and forms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from agent.wire import Body, Request
from server.analysis.rebuild.events import events_of
from server.analysis.rebuild.masked import Masked
from server.analysis.rebuild.sent import multipart_of, query_of
from server.analysis.rebuild.shapes.values import Value
from server.analysis.specs.document.media import FORM, MULTIPART, essence, is_json
from server.analysis.specs.judging.json_reading import NotJson, UnreadableJson, json_value
from server.analysis.specs.judging.sequences import EVENTS, is_json_sequence, json_texts

LARGEST_BODY = 8 * 1024 * 1024  # bytes; a larger one is counted, not read
LONGEST_MEDIA = 100  # characters of a content type


@dataclass(frozen=True, slots=True)
class BodyValue:
    """A body's value, with placeholders hidden; `wire`: its strings are texts that may represent numbers."""

    value: Value
    wire: bool = False


@lru_cache(maxsize=1024)
def media_of(content_type: str | None) -> str:
    """A media type as written in a specification; "" if the message has no valid one."""
    kind = essence(content_type or "")
    plain = kind.isascii() and kind.isprintable() and " " not in kind
    return kind if plain and 0 < len(kind) <= LONGEST_MEDIA and kind.count("/") == 1 else ""


def json_of(body: Body, kind: str, where: str, masked: Masked) -> BodyValue | None:
    """A body's JSON value, of a sequence the list of its items; None if it cannot be learned."""
    data = _whole(body)
    if data is None:
        return None
    try:
        if is_json(kind):
            return BodyValue(masked.json(where, json_value(data)))
        if is_json_sequence(kind):
            return BodyValue([masked.json(where, json_value(text)) for text in json_texts(data, kind)])
    except (NotJson, UnreadableJson):
        return None
    return BodyValue(events_of(data, where, masked)) if kind == EVENTS else None


def sent_value(request: Request, masked: Masked) -> BodyValue | None:
    """A request body's value; None if it cannot be learned."""
    kind = media_of(request.content_type)
    data = _whole(request.body)
    if kind == FORM and data is not None:
        return BodyValue(query_of(data, "request.body", masked), wire=True)
    if kind == MULTIPART and data is not None:
        fields = multipart_of(data, request.content_type or "", masked)
        return None if fields is None else BodyValue(fields, wire=True)
    return json_of(request.body, kind, "request.body", masked)


def is_empty(body: Body) -> bool:
    """Whether a message is known to have had no body."""
    return body.size == 0 and body.state == "complete"


def is_unknown(body: Body, content_type: str | None) -> bool:
    """Whether nothing shows that a message had a body: its source reports neither bodies, sizes nor types."""
    return body.state == "unseen" and not body.size and content_type is None


def _whole(body: Body) -> bytes | None:
    """The bytes of a complete body that is not too large."""
    return body.data if body.state == "complete" and body.data and len(body.data) <= LARGEST_BODY else None
