"""The head of one message as h11 reads it: start line and headers.

Each head goes through a fresh `h11.Connection`, which is kept, since it also reads a chunked body. Where h11
is stricter than traffic (bytes above 0x7f in a target, a missing Host), the head is adapted before and
restored afterwards, so that facts hold exactly what was sent.
"""

from __future__ import annotations

import re

import h11

from agent.frozen import dataclass
from agent.http.messages import Headers

MAX_HEAD = 64 * 1024
"""Bytes of start line and headers; servers allow 8 to 80 KiB."""

NO_HOST = "request without Host"

_PLAIN = h11.Request(method=b"GET", target=b"/", headers=[(b"Host", b"x")])
_UPGRADE = h11.Request(
    method=b"GET", target=b"/", headers=[(b"Host", b"x"), (b"Connection", b"upgrade"), (b"Upgrade", b"x")]
)
_QUOTED = re.compile(r": (?:bytearray\()?b['\"].*", re.DOTALL)
_START_LINE = re.compile(rb"([^ \r\n]+) (.+) HTTP/[0-9]\.[0-9]\r?\n")
_NOT_ASCII = bytes.maketrans(bytes(range(0x80, 0x100)), b"x" * 0x80)


@dataclass(frozen=True, slots=True)
class Refused:
    """The bytes are no valid head. `error` never quotes them: they may be secret."""

    error: str


@dataclass(frozen=True, slots=True)
class RequestHead:
    method: bytes
    target: bytes
    version: bytes
    headers: Headers
    error: str | None  # parsed, but not a valid request: the reason


@dataclass(frozen=True, slots=True)
class ResponseHead:
    status: int
    version: bytes
    headers: Headers


def reason(error: h11.ProtocolError) -> str:
    """h11's reason, without the bytes it quotes."""
    return _QUOTED.sub("", str(error))


def fresh_request(raw: bytes) -> tuple[RequestHead, h11.Connection] | Refused:
    """The request head in `raw`, which ends with the empty line, read by a fresh h11 connection."""
    ascii_raw, target = (raw, None) if raw.isascii() else _ascii_target(raw)
    error = None
    found = _request_event(ascii_raw)
    if isinstance(found, Refused) and (line_end := ascii_raw.find(b"\n")) > 0:
        hosted = _request_event(ascii_raw[: line_end + 1] + b"Host: x\r\n" + ascii_raw[line_end + 1 :])
        if not isinstance(hosted, Refused):
            found, error = hosted, NO_HOST
    if isinstance(found, Refused):
        return found
    event, connection = found
    headers = _headers(event)
    head = RequestHead(
        event.method, target or event.target, event.http_version, headers[1:] if error else headers, error
    )
    return head, connection


def _request_event(raw: bytes) -> tuple[h11.Request, h11.Connection] | Refused:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
    connection.receive_data(raw)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        return Refused(reason(error))
    if not isinstance(event, h11.Request):
        return Refused("illegal request line")
    return event, connection


def _ascii_target(raw: bytes) -> tuple[bytes, bytes | None]:
    """`raw` with each byte above 0x7f of its target replaced by a letter, and the target as it was."""
    line = _START_LINE.match(raw)
    if line is None or line[2].isascii():
        return raw, None
    start, end = line.span(2)
    return raw[:start] + line[2].translate(_NOT_ASCII) + raw[end:], line[2]


def fresh_response(raw: bytes) -> tuple[ResponseHead, h11.Connection] | Refused:
    """The response head in `raw`, read by a fresh h11 connection.

    h11 needs no request for a final response (a server may send 408 without one), and supplying one takes a
    fifth of the time. The method matters only for the framing, which `framing` decides.
    """
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    if raw[9:10] == b"1":
        connection.send(_UPGRADE if raw[9:12] == b"101" else _PLAIN)
    connection.receive_data(raw)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        return Refused(reason(error))
    if not isinstance(event, (h11.Response, h11.InformationalResponse)):
        return Refused("illegal status line")
    return ResponseHead(event.status_code, event.http_version, _headers(event)), connection


def _headers(event: h11.Request | h11.Response | h11.InformationalResponse) -> Headers:
    """h11's headers with names in lower case; iterating over h11's own view of them costs twice as much."""
    return tuple([(name.lower(), value) for name, value in event.headers.raw_items()])
