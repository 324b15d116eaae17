"""Counts the events of a stream of server-sent events (HTML Standard, section 9.2.6), whatever the pieces.

| bytes                          | event so far | counts                     |
|--------------------------------|--------------|----------------------------|
| a line that begins `data`      | has data     |                            |
| an empty line                  | is over      | if it has data             |
| any other line                 | as before    |                            |
| a line without its end, so far | as before    | its beginning is kept      |

An event without data is none to a browser either; one that is cut at the end is not counted.
"""

from __future__ import annotations

import re

from agent.http.messages import Headers, header

_TYPE = b"text/event-stream"
_ENDS = re.compile(rb"\r\n|\n|\r")
_DATA = re.compile(rb"(?:\xef\xbb\xbf)?data(?::|$)")
_START = 9  # bytes of a line that tell whether it has data: a byte order mark, `data`, and what follows


def is_event_stream(headers: Headers) -> bool:
    """Whether a body is a stream of events that can be read as it comes: without a content coding."""
    kind = header(headers, b"content-type")
    if kind is None or kind[: len(_TYPE)].lower() != _TYPE:
        return False
    return header(headers, b"content-encoding") in (None, b"identity")


class EventCounter:
    """`count` is the number of events that are complete."""

    __slots__ = ("_after_return", "_has_data", "_start", "count")

    def __init__(self) -> None:
        self.count = 0
        self._has_data = False
        self._start = b""
        self._after_return = False

    def feed(self, data: bytes | bytearray) -> None:
        """Reads the next bytes."""
        if not data:
            return
        if self._after_return and data[:1] == b"\n":
            data = data[1:]
            self._after_return = False
            if not data:
                return
        self._after_return = data[-1:] == b"\r"
        *lines, start = _ENDS.split(self._start + data)
        for line in lines:
            if not line:
                self.count += self._has_data
                self._has_data = False
            elif _DATA.match(line):
                self._has_data = True
        self._start = bytes(start[:_START])
