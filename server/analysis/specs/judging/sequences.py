"""Bodies that are sequences → their items (OpenAPI 3.2.0, "Sequential Media Types").

An item is a JSON text, or a server-sent event: an object of its fields, whose `data` is text even if that is
JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from server.analysis.json import JsonObject

EVENTS = "text/event-stream"
LINES = "application/x-ndjson"

_SEPARATORS = {
    **dict.fromkeys(
        ("application/jsonl", LINES, "application/ndjson", "application/json-lines"),
        re.compile(rb"\r?\n"),
    ),
    "application/json-seq": re.compile(rb"\x1e"),
}
_LINE_END = re.compile("\r\n|\r|\n")


def is_json_sequence(kind: str) -> bool:
    """Whether a body of this media type is a sequence of JSON texts."""
    return kind in _SEPARATORS


def json_texts(data: bytes, kind: str) -> Iterator[bytes]:
    """The JSON texts of a body."""
    return filter(bytes.strip, _SEPARATORS[kind].split(data))


def events(data: bytes) -> Iterator[JsonObject]:
    """The events that a client would dispatch (HTML Living Standard, 9.2.6), each with the fields sent."""
    fields: JsonObject = {}
    lines: list[str] = []
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    for line in _LINE_END.split(text)[:-1]:  # what follows the last line end is no line
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if lines:
                yield {**fields, "data": "\n".join(lines)}
            fields, lines = {}, []
        elif name == "data":
            lines.append(value)
        elif name == "retry" and value.isascii() and value.isdecimal():
            fields[name] = int(value[:18])
        elif name == "event" or (name == "id" and "\0" not in value):
            fields[name] = value
