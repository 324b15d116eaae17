"""Splits the heads that nearly all software sends without h11: a strict subset of what h11 reads, with equal
results.

One kind of line end, one blank after each colon, printable ASCII, HTTP/1.1, one Host in a request, no
transfer coding, at most one Content-Length: heads in which RFC 9112 leaves nothing to decide. For all others
the result is None, and h11 reads or refuses them. A property test compares the two.
"""

from __future__ import annotations

import re

from agent.http.messages import Headers

_TOKEN = rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+"
_FIELDS = rb"(?:" + _TOKEN + rb": [!-~](?:[ -~]*[!-~])?\r\n)+\r\n"
_REQUEST = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/1\.1\r\n" + _FIELDS)
_RESPONSE = re.compile(rb"HTTP/1\.1 ([2-9][0-9][0-9])(?: [ -~]*)?\r\n" + _FIELDS)
MAX_DIGITS = 18
"""Digits of a Content-Length that is read here."""


def request(raw: bytes) -> tuple[bytes, bytes, Headers] | None:
    """Method, target and fields of an ordinary request head, names in lower case."""
    match = _REQUEST.fullmatch(raw)
    if match is None:
        return None
    headers = _fields(raw)
    if headers is None or [name for name, _ in headers].count(b"host") != 1:
        return None
    return match[1], match[2], headers


def response(raw: bytes) -> tuple[int, Headers] | None:
    """Status and fields of an ordinary final response's head, names in lower case."""
    match = _RESPONSE.fullmatch(raw)
    headers = None if match is None else _fields(raw)
    return None if match is None or headers is None else (int(match[1]), headers)


def _fields(raw: bytes) -> Headers | None:
    """The fields after the start line; None if they frame the body in an unusual way."""
    lines = raw.split(b"\r\n")[1:-2]
    headers = tuple([(name.lower(), value) for name, _, value in [line.partition(b": ") for line in lines]])
    names = [name for name, _ in headers]
    if b"transfer-encoding" in names:
        return None
    if b"content-length" in names:
        length = headers[names.index(b"content-length")][1]
        if names.count(b"content-length") > 1 or not length.isdigit() or len(length) > MAX_DIGITS:
            return None
    return headers
