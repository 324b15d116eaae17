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
from agent.sources.elements import Absent, EndMissing, Interlude, Stray, elements
from agent.sources.har_entry import HarEntry, HarPair, HarRequest, HarResponse, HarTimings, har_entry
from agent.sources.reported import (
    CutShort,
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
_NOT_ASKED, _NOT_ANSWERED, _UNTIMED = HarRequest(), HarResponse(), HarTimings()


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
    index = 0
    try:
        for element in elements(read, b"entries", 2):
            if isinstance(element, Interlude):
                yield UnreadableEntry(f"after entry {index}", f"{element.size:,} bytes that are no HAR")
                continue
            index += 1
            place = f"entry {index}"
            if isinstance(element, Stray):
                yield UnreadableEntry(place, "not a JSON object")
            elif element.raw is None:
                yield UnreadableEntry(place, "too large")
            else:
                yield _entry(element.raw, index - 1, place, written_ns)
    except Absent:
        yield UnreadableEntry("the document", "no log.entries, so no HAR")
    except EndMissing:
        yield CutShort(f"after entry {index}")


def _entry(raw: bytes, index: int, place: str, written_ns: int) -> Entry:
    try:
        return _reported(har_entry(raw), index, raw, written_ns)
    except EntryError as error:
        return UnreadableEntry(place, str(error))


def _reported(entry: HarEntry, index: int, raw: bytes, written_ns: int) -> Entry:
    started = entry.started_date_time or None
    start = written_ns if started is None else fields.time_ns(started)
    asked, answered = entry.request or _NOT_ASKED, entry.response or _NOT_ANSWERED
    if start is None:
        raise EntryError("its startedDateTime is no time from 1970 to 2116")
    if not asked.method or not asked.url:
        raise EntryError("no request method or no URL")
    call = _CALL.fullmatch(asked.url)
    if call is None:
        return Skipped("entries, not an HTTP URL")
    sent, first, end = _moments(entry, start)
    request = _request(asked, asked.method, call, (start, sent))
    response = _response(answered, request, (first, end))
    exchange = Exchange(0, request, response, _completeness(request, response))
    if response is not None and response.status == 101:
        exchange = replace(exchange, upgraded=header(request.headers, b"upgrade") or b"websocket")
    return Reported(
        exchange,
        identity("har", index, raw),
        "client",
        server=_server(entry, call),
        timed=started is not None,
    )


def _completeness(request: Request, response: Response | None) -> Completeness:
    if response is None:
        return Completeness.NO_RESPONSE
    cut = BodyState.TRUNCATED in (request.body.state, response.body.state)
    return Completeness.TRUNCATED if cut else Completeness.COMPLETE


def _moments(entry: HarEntry, start: int) -> tuple[int | None, int | None, int | None]:
    """The end of the request, the start and the end of the response; None if not stated."""
    timings, total = entry.timings or _UNTIMED, fields.known(entry.time)
    send, wait = fields.known(timings.send), fields.known(timings.wait)
    if send is None or wait is None:
        return None, None, None if total is None else start + _ns(total)
    before = map(fields.known, (timings.blocked, timings.dns, timings.connect))
    sent = start + _ns(*before, send)
    first = sent + _ns(wait)
    return sent, first, first + _ns(fields.known(timings.receive))


def _ns(*milliseconds: float | None) -> int:
    return int(sum([value or 0 for value in milliseconds]) * MILLISECOND)


def _request(asked: HarRequest, method: str, call: re.Match[str], moments: tuple[int, int | None]) -> Request:
    secure, authority, target = call.groups()
    host = authority.rpartition("@")[2]  # a client does not send a URL's user and password in Host
    body, headers = har_bodies.sent(asked, _headers(asked.headers))
    return Request(
        method=method.encode(),
        target=target.encode() if target.startswith("/") else b"/" + target.encode(),
        version=_version_of(asked.http_version or ""),
        headers=headers,
        trailers=(),
        body=body,
        start_ns=moments[0],
        end_ns=moments[1],
        authority=host.encode() or _pseudo_authority(asked.headers),
        scheme=b"https" if secure else b"http",
    )


def _response(
    answered: HarResponse, request: Request, moments: tuple[int | None, int | None]
) -> Response | None:
    status = fields.whole(answered.status)
    if not status or status > 999:
        return None
    named = _headers(answered.headers)
    body, headers = har_bodies.received(answered, named, status, request.method)
    first, end = moments
    return Response(
        status=status,
        version=_version_of(answered.http_version or ""),
        headers=headers,
        trailers=(),
        body=body,
        start_ns=first or end or request.start_ns,
        end_ns=end,
    )


def _headers(found: list[HarPair] | None) -> Headers:
    """Header fields, names in lower case, without HTTP/2's pseudo headers: their values are in the start
    line.
    """
    if found is None:
        return ()
    return tuple(
        [
            (name.lower().encode(), one.value.encode())
            for one in found[: fields.MAX_HEADERS]
            if (name := one.name) and name[0] != ":" and one.value is not None
        ]
    )


def _pseudo_authority(found: list[HarPair] | None) -> bytes | None:
    values = (one.value for one in found or () if one.name == ":authority" and one.value is not None)
    authority = next(values, None)
    return None if authority is None else authority.encode()


@lru_cache(fields.MAX_REMEMBERED)
def _version_of(written: str) -> bytes:
    match = _VERSION.match(written)
    if match is None:
        return b"1.1"
    return b"1." + (match[2] or "1").encode() if match[1] in "01" else match[1].encode()


def _server(entry: HarEntry, call: re.Match[str]) -> Endpoint | None:
    ip = fields.ip(entry.server_ip or "")
    if ip is None:
        return None
    port = call[2].rpartition("@")[2].rpartition(":")[2]
    known = int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else 443 if call[1] else 80
    return Endpoint(ip, known) if 0 < known < 65536 else None
