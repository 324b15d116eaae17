"""HAR 1.2, as written by browsers and proxies: each entry is an exchange.

Writers differ: sizes are missing or -1, HTTP/2's pseudo headers are among the headers, extra fields begin
with `_`. Bodies are stored after content decoding, as text or base64, though the headers still name the
coding. What a writer left out is unseen, not empty: times, the answer, headers, sizes and bodies may be
missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from agent.http.messages import (
    BodyState,
    Completeness,
    Exchange,
    Headers,
    Request,
    Response,
    header,
)
from agent.sources import fields, har_bodies
from agent.sources.content import File, FileContent
from agent.sources.elements import Absent, Stray, elements
from agent.sources.reported import (
    Entry,
    EntryError,
    Reported,
    Skipped,
    UnreadableEntry,
    identity,
)
from agent.wire import Endpoint

MILLISECOND = 1_000_000

_CALL = re.compile(r"(?:http|ws)(s?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_VERSION = re.compile(r"(?:http/|h)([0-3])(?:\.([0-9]))?", re.IGNORECASE)
_HAR = re.compile(rb'\s*\{(?:\s*"[^"\\]*"\s*:\s*"(?:[^"\\]|\\.)*"\s*,)*\s*"log"\s*:\s*\{', re.DOTALL)
_BOM = b"\xef\xbb\xbf"


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is HAR."""
    return _HAR.match(head.removeprefix(_BOM)) is not None


def content(file: File, name: str, written_ns: int) -> FileContent:
    """The exchanges of a document."""
    return FileContent(entries(file.read1, written_ns))


def entries(read: Callable[[int], bytes], written_ns: int) -> Iterator[Entry]:
    """The exchanges of the HAR document that `read` returns in pieces; `written_ns` is the time of those
    without one.
    """
    try:
        for index, element in enumerate(elements(read, b"entries", 2)):
            place = f"entry {index + 1}"
            if isinstance(element, Stray):
                yield UnreadableEntry(place, "not a JSON object")
            elif element.raw is None:
                yield UnreadableEntry(place, "too large")
            else:
                yield _entry(element.raw, index, place, written_ns)
    except Absent:
        yield UnreadableEntry("the document", "no log.entries, so no HAR")


def _entry(raw: bytes, index: int, place: str, written_ns: int) -> Entry:
    try:
        return _reported(fields.decoded(raw), index, raw, written_ns)
    except EntryError as error:
        return UnreadableEntry(place, str(error))


def _reported(entry: dict[str, Any], index: int, raw: bytes, written_ns: int) -> Entry:
    started = fields.text(entry, "startedDateTime")
    start = written_ns if started is None else fields.time_ns(started)
    asked, answered = fields.part(entry, "request"), fields.part(entry, "response")
    method, url = fields.text(asked, "method"), fields.text(asked, "url")
    if start is None:
        raise EntryError("its startedDateTime is no time from 1970 to 2116")
    if method is None or url is None:
        raise EntryError("no request method or no URL")
    call = _CALL.fullmatch(url)
    if call is None:
        return Skipped("entries, not an HTTP URL")
    sent, first, end = _moments(entry, start)
    request = _request(asked, method, call, (start, sent))
    response = _response(answered, request, (first, end))
    cut = {message.body.state for message in (request, response) if message}
    exchange = Exchange(0, request, response, _completeness(response, cut))
    if response is not None and response.status == 101:
        exchange = replace(exchange, upgraded=header(request.headers, b"upgrade") or b"websocket")
    return Reported(
        exchange,
        identity("har", index, raw),
        "client",
        server=_server(entry, call),
        timed=started is not None,
    )


def _completeness(response: Response | None, bodies: set[BodyState]) -> Completeness:
    if response is None:
        return Completeness.NO_RESPONSE
    return Completeness.TRUNCATED if BodyState.TRUNCATED in bodies else Completeness.COMPLETE


def _moments(entry: dict[str, Any], start: int) -> tuple[int | None, int | None, int | None]:
    """The end of the request, the start and the end of the response; None if not stated."""
    timings = fields.part(entry, "timings")
    total, send, wait = (
        fields.number(entry, "time"),
        fields.number(timings, "send"),
        fields.number(timings, "wait"),
    )
    if send is None or wait is None:
        return None, None, None if total is None else start + _ns(total)
    before = (fields.number(timings, name) for name in ("blocked", "dns", "connect"))
    sent = start + _ns(*before, send)
    first = sent + _ns(wait)
    return sent, first, first + _ns(fields.number(timings, "receive"))


def _ns(*milliseconds: float | None) -> int:
    return int(sum(value or 0 for value in milliseconds) * MILLISECOND)


def _request(
    asked: dict[str, Any], method: str, call: re.Match[str], moments: tuple[int, int | None]
) -> Request:
    named = fields.headers(asked, "headers")
    secure, authority, target = call.groups()
    host = authority.rpartition("@")[2]  # a client does not send a URL's user and password in Host
    body, headers = har_bodies.sent(asked, _plain(named))
    return Request(
        method=fields.encoded(method),
        target=fields.encoded(target if target.startswith("/") else "/" + target),
        version=_version(asked),
        headers=headers,
        trailers=(),
        body=body,
        start_ns=moments[0],
        end_ns=moments[1],
        authority=fields.encoded(host) or header(named, b":authority"),
        scheme=b"https" if secure else b"http",
    )


def _response(
    answered: dict[str, Any], request: Request, moments: tuple[int | None, int | None]
) -> Response | None:
    status = fields.size(answered, "status")
    if not status or status > 999:
        return None
    named = _plain(fields.headers(answered, "headers"))
    body, headers = har_bodies.received(answered, named, status, request.method)
    first, end = moments
    return Response(
        status=status,
        version=_version(answered),
        headers=headers,
        trailers=(),
        body=body,
        start_ns=first or end or request.start_ns,
        end_ns=end,
    )


def _plain(headers: Headers) -> Headers:
    """Headers without HTTP/2's pseudo headers, whose values are in the start line."""
    return tuple(pair for pair in headers if not pair[0].startswith(b":"))


def _version(message: dict[str, Any]) -> bytes:
    return _version_of(fields.text(message, "httpVersion") or "")


@lru_cache(fields.MAX_REMEMBERED)
def _version_of(written: str) -> bytes:
    match = _VERSION.match(written)
    if match is None:
        return b"1.1"
    return b"1." + (match[2] or "1").encode() if match[1] in "01" else match[1].encode()


def _server(entry: dict[str, Any], call: re.Match[str]) -> Endpoint | None:
    ip = fields.ip(fields.text(entry, "serverIPAddress") or "")
    port = call[2].rpartition("@")[2].rpartition(":")[2]
    known = int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else 443 if call[1] else 80
    return Endpoint(ip, known) if ip is not None and 0 < known < 65536 else None
