"""Telemetry as posted by gateways' APIClarity plugins: one JSON object for each exchange.

Plugins leave out unknown values: an address's IP or port, a time, a request id, a body. Bodies are base64,
still in their content coding, or a text as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from agent.http.messages import (
    EMPTY_BODY,
    Body,
    BodyState,
    Completeness,
    Exchange,
    Headers,
    Request,
    Response,
    header,
    is_bodiless,
)
from agent.sources import fields
from agent.sources.content import File, FileContent
from agent.sources.objects import entries_of
from agent.sources.reported import Entry, EntryError, NotBase64, Reported, identity
from agent.wire import Endpoint

MILLISECOND = 1_000_000
SOURCE = "telemetry"

_VERSION = re.compile(r"(?:HTTP/)?([0-3])(?:\.([0-9]))?0*", re.IGNORECASE)
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_REPORT = re.compile(rb'"(?:destinationAddress|sourceAddress|destinationNamespace)"\s*:\s*"|"TruncatedBody"')


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is telemetry."""
    return _REPORT.search(head) is not None


def content(file: File, name: str, written_ns: int) -> FileContent:
    """The reported exchanges."""
    return FileContent(entries(file, written_ns))


def entries(file: File, written_ns: int) -> Iterator[Entry]:
    """The exchanges of a file with one object per line, or of one object over several; `written_ns` is the
    time of those without one.
    """
    return entries_of(file, lambda raw, index: reported(raw, index, written_ns))


def reported(raw: bytes, index: int, now_ns: int) -> Reported:
    """The exchange in one object; `index` distinguishes equal ones, `now_ns` is the time of those without
    one. Raises EntryError.
    """
    found = fields.decoded(raw)
    asked, answered = fields.part(found, "request"), fields.part(found, "response")
    method, path = fields.text(asked, "method"), fields.text(asked, "path")
    if method is None or path is None:
        raise EntryError("no request method or no path")
    start, end = _time(asked), _time(answered)
    stated = start if start is not None else end
    start = stated if stated is not None else now_ns
    request = _request(asked, method, path, start, (fields.text(found, "scheme") or "http").lower())
    response = _response(answered, start, end, request.method)
    bodies = {message.body.state for message in (request, response) if message}
    whole = Completeness.TRUNCATED if BodyState.TRUNCATED in bodies else Completeness.COMPLETE
    return Reported(
        Exchange(0, request, response, whole if response else Completeness.NO_RESPONSE),
        identity(SOURCE, index, raw.strip()),
        "server",
        _endpoint(fields.text(found, "sourceAddress"), None),
        _endpoint(fields.text(found, "destinationAddress"), fields.text(found, "destinationNamespace")),
        timed=stated is not None,
    )


def _time(message: dict[str, Any]) -> int | None:
    milliseconds = fields.size(fields.part(message, "common"), "time")
    if not milliseconds or milliseconds >= fields.MAX_TIME_NS // MILLISECOND:
        return None
    return milliseconds * MILLISECOND


def _request(asked: dict[str, Any], method: str, path: str, start: int, scheme: str) -> Request:
    common = fields.part(asked, "common")
    host = fields.text(asked, "host")
    headers = fields.headers(common, "headers", "key")
    return Request(
        method=fields.encoded(method),
        target=fields.encoded(path if path.startswith("/") else "/" + path),
        version=_version(common),
        headers=headers,
        trailers=(),
        body=_body(common, headers, expected=False),
        start_ns=start,
        end_ns=None,
        authority=fields.encoded(host) if host else None,
        scheme=b"https" if scheme == "https" else b"http",
    )


def _response(answered: dict[str, Any], start: int, end: int | None, method: bytes) -> Response | None:
    code = answered.get("statusCode")
    if code in (None, "", "0", 0):
        return None
    if not isinstance(code, (str, int)) or not re.fullmatch(r"[1-9][0-9]{2}", str(code)):
        raise EntryError("a status code that is none")
    status = int(code)
    common = fields.part(answered, "common")
    headers = fields.headers(common, "headers", "key")
    body = _body(common, headers, expected=not is_bodiless(method, status))
    return Response(status, _version(common), headers, (), body, end if end is not None else start, end)


def _version(common: dict[str, Any]) -> bytes:
    match = _VERSION.fullmatch(fields.text(common, "version") or "")
    if match is None:
        return b"1.1"
    return match[1].encode() if match[1] in "23" else b"1." + (match[2] or "1").encode()


def _body(common: dict[str, Any], headers: Headers, expected: bool) -> Body:
    """A body; one that the plugin left out is unseen if there is one by the headers, or if it is `expected`
    and the headers do not say that there is none.
    """
    cut = common.get("TruncatedBody") is True
    found = fields.text(common, "body")
    try:
        data = _decoded(found) if found else b""
    except NotBase64:
        return Body(None, b"", BodyState.UNDECODABLE)
    if cut:  # its full length is not reported
        return Body(None, data, BodyState.TRUNCATED if data else BodyState.UNSEEN)
    if data:
        return Body(len(data), data, BodyState.COMPLETE)
    declared = header(headers, b"content-length")
    left_out = expected and "body" not in common and declared is None
    return Body(None, b"", BodyState.UNSEEN) if left_out or declared not in (None, b"0") else EMPTY_BODY


def _decoded(found: str) -> bytes:
    """Some plugins send a text as it is; what begins like JSON or XML is no base64. Raises NotBase64."""
    return fields.encoded(found) if found.startswith(("{", "[", "<", '"')) else fields.base64(found)


def _endpoint(address: str | None, namespace: str | None) -> Endpoint | None:
    """The end in "ip:port", "[v6]:port", or either part alone; None without an IP."""
    host, _, port = (address or "").rpartition(":")
    ip = fields.ip(host) or fields.ip(address or "")
    if ip is None:
        return None
    known = port.isascii() and port.isdecimal() and len(port) < 6 and int(port) < 65536 and fields.ip(host)
    within = namespace if namespace and _NAMESPACE.fullmatch(namespace) else None
    return Endpoint(ip, int(port) if known else 0, namespace=within)
