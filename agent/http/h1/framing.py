"""How a message's body ends (RFC 9112 section 6.3)."""

from __future__ import annotations

from agent.frozen import dataclass
from agent.http.h1.heads import RequestHead, ResponseHead
from agent.http.messages import Headers, is_bodiless


@dataclass(frozen=True, slots=True)
class Framing:
    """How a body ends: after `length` bytes, by its chunks, or (neither) with the connection."""

    chunked: bool
    length: int | None


NO_BODY = Framing(False, 0)
CHUNKED = Framing(True, None)
UNTIL_CLOSE = Framing(False, None)


def request_framing(head: RequestHead) -> Framing:
    """The framing of a request's body."""
    found = _declared(head.headers)
    return NO_BODY if found is UNTIL_CLOSE else found


def response_framing(head: ResponseHead, method: bytes | None) -> Framing:
    """The framing of a final response's body; `method` is its request's, None if that was not seen."""
    if is_bodiless(method, head.status):
        return NO_BODY
    if method == b"CONNECT" and head.status < 300:
        return NO_BODY
    return _declared(head.headers)


def _declared(headers: Headers) -> Framing:
    length = None
    for name, value in headers:
        if name == b"transfer-encoding":
            return CHUNKED  # takes precedence over Content-Length; h11 refuses any other coding
        if name == b"content-length":
            length = int(value)
    return UNTIL_CLOSE if length is None else Framing(False, length)
