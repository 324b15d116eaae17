"""JSON logs of exchanges, one object each: Redocly's NDJSON, Kong's, and access logs of nginx and Apache.

A row of `LOGS` says how a log is recognised and at which places each value may be: writers name the same
things differently, and of access logs the operator chooses the names. The first place that holds a value is
taken. What is at none of them is unseen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

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
from agent.sources.log_values import at, headers_of, moment_ns, target_of
from agent.sources.objects import entries_of
from agent.sources.reported import Entry, EntryError, NotBase64, Reported, identity
from agent.wire import Endpoint

MILLISECOND = 1_000_000
Places = tuple[tuple[str, ...], ...]

_LINE = re.compile(r"([A-Za-z-]{1,24}) (\S+)(?: HTTP/([0-3])(?:\.([0-9]))?)?")


def _places(*dotted: str) -> Places:
    return tuple(tuple(one.split(".")) for one in dotted)


def _below(roots: tuple[str, ...], *names: str) -> Places:
    return _places(*(f"{root}.{name}" if root else name for name in names for root in roots))


@dataclass(frozen=True, slots=True)
class Log:
    """One kind of log. `side` is the end that wrote it. `logged_at_end` says that its time is the response's
    end, `took_ms` that a duration is in milliseconds, else in seconds.
    """

    marks: re.Pattern[bytes]
    side: str
    method: Places
    url: Places
    host: Places
    path: Places
    query: Places
    scheme: Places
    line: Places
    status: Places
    time: Places
    took: Places
    client: Places
    asked_headers: Places
    answered_headers: Places
    asked_body: Places
    answered_body: Places
    user_agent: Places = ()
    answered_type: Places = ()
    logged_at_end: bool = False
    took_ms: bool = True


_ASKED = ("request", "req", "httpRequest", "http.request", "")
_ANSWERED = ("response", "res", "httpResponse", "http.response")
_BODY = ("body", "bodyText", "raw_body", "rawBody", "payload", "data")


def _messages(marks: bytes, side: str) -> Log:
    """A log with an object for each message."""
    return Log(
        marks=re.compile(marks, re.DOTALL),
        side=side,
        method=_below(_ASKED, "method", "httpMethod", "http_method", "requestMethod"),
        url=_below(_ASKED, "url", "requestUrl"),
        host=_below(_ASKED, "host", "hostname"),
        path=_below(_ASKED, "path", "uri", "request_uri", "pathname"),
        query=_below(_ASKED, "querystring", "query"),
        scheme=_below(_ASKED, "scheme", "protocol"),
        line=(),
        status=_below((*_ANSWERED, "", "httpRequest"), "status", "statusCode", "status_code"),
        time=_places("startedAt", "started_at", "timestamp", "time", "@timestamp", "startedDateTime"),
        took=_places("latencies.request", "durationMs", "duration_ms"),
        client=_places("client_ip", "remote_addr", "request.remote_addr"),
        asked_headers=_below(_ASKED[:-1], "headers"),
        answered_headers=_below(_ANSWERED, "headers"),
        asked_body=_below(_ASKED[:-1], *_BODY),
        answered_body=_below(_ANSWERED, *_BODY),
    )


def _access(marks: bytes) -> Log:
    """A web server's access log, whose names are those of its variables or the operator's."""
    return Log(
        marks=re.compile(marks, re.DOTALL),
        side="server",
        method=_places("request_method", "method", "verb"),
        url=_places("url", "request_url"),
        host=_places("host", "http_host", "vhost", "server_name", "virtual_host"),
        path=_places("request_uri", "uri", "path", "url_path", "request"),
        query=_places("query_string", "args", "query"),
        scheme=_places("scheme", "request_scheme"),
        line=_places("request", "request_line"),
        status=_places("status", "response_status", "status_code", "response"),
        time=_places("time_iso8601", "msec", "@timestamp", "timestamp", "time", "time_local"),
        took=_places("request_time"),
        client=_places("remote_addr", "remote_ip", "remoteIP", "client_ip", "remote_host"),
        asked_headers=_places("request_headers", "headers"),
        answered_headers=_places("response_headers", "headers_out"),
        asked_body=_places("request_body"),
        answered_body=_places("response_body", "resp_body"),
        user_agent=_places("http_user_agent", "user_agent", "userAgent", "agent"),
        answered_type=_places("sent_http_content_type", "content_type_out"),
        logged_at_end=True,
        took_ms=False,
    )


LOGS = {
    "kong": _messages(rb'"latencies"\s*:\s*\{', "server"),
    "nginx": _access(
        rb'"(?:time_iso8601|body_bytes_sent|upstream_response_time|upstream_addr)"\s*:'
        rb'|"remote_addr"\s*:.*"request(?:_uri|_method)?"\s*:\s*"|"request(?:_uri|_method)?"\s*:\s*".*"remote_addr"\s*:'
    ),
    "apache": _access(
        rb'"(?:vhost|virtual_host|response_status|remoteIP)"\s*:'
        rb'|"request(?:_line)?"\s*:\s*"[A-Z]{3,10} /|"request_method"\s*:\s*"[A-Z]{3,10}"'
    ),
    "ndjson": _messages(rb'"(?:[mM]ethod|http(?:M|_m)ethod|requestMethod)"\s*:\s*"[A-Za-z]', "unknown"),
}
"""Formats by name, tried in this order: every log of messages has what NDJSON is known by."""


def recognises(name: str, head: bytes) -> bool:
    """Whether a file that begins with `head` is this log."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return start[:1] in (b"{", b"[") and LOGS[name].marks.search(start) is not None


def content(log: str, file: File, name: str, written_ns: int) -> FileContent:
    """The exchanges of a log of this kind."""
    return FileContent(entries(log, file, written_ns))


def entries(log: str, file: File, written_ns: int) -> Iterator[Entry]:
    """The exchanges of a log of this kind; `written_ns` is the time of those without one."""
    return entries_of(file, lambda raw, index: _reported(log, raw, index, written_ns))


def _reported(name: str, raw: bytes, index: int, written_ns: int) -> Reported:
    log, entry = LOGS[name], fields.decoded(raw)
    stated, end = _moments(log, entry)
    start = written_ns if stated is None else stated
    request = _request(log, entry, start)
    response = _response(log, entry, request, end)
    whole = Completeness.COMPLETE if response else Completeness.NO_RESPONSE
    headless = at(entry, log.asked_headers) is None
    ip = fields.ip(_text(entry, log.client) or "")
    return Reported(
        Exchange(0, request, response, whole, fields_unknown=int(headless)),
        identity(name, index, raw.strip()),
        log.side,
        None if ip is None else Endpoint(ip, 0),
        timed=stated is not None,
    )


def _moments(log: Log, entry: dict[str, Any]) -> tuple[int | None, int | None]:
    """Start and end; None if not stated."""
    stated = moment_ns(at(entry, log.time))
    took = at(entry, log.took)
    try:
        lasted = int(float(took) * (MILLISECOND if log.took_ms else 1000 * MILLISECOND))
    except (TypeError, ValueError, OverflowError):
        lasted = None
    if stated is None or lasted is None or not 0 <= lasted < stated:
        return stated, None
    return (stated - lasted, stated) if log.logged_at_end else (stated, stated + lasted)


def _request(log: Log, entry: dict[str, Any], start: int) -> Request:
    line = _LINE.fullmatch(_text(entry, log.line) or "")
    method = _text(entry, log.method) or (line[1] if line else None)
    headers = headers_of(at(entry, log.asked_headers))
    headers = fields.with_default(headers, b"user-agent", _text(entry, log.user_agent))
    found = target_of(
        _text(entry, log.url), _text(entry, log.host), line[2] if line else _text(entry, log.path)
    )
    if method is None or found is None:
        raise EntryError("no request method or no URL")
    scheme, authority, target = found
    body, headers = _body(at(entry, log.asked_body), headers)
    if body is None:
        declared = header(headers, b"content-length") or header(headers, b"transfer-encoding")
        none = method.upper() in ("GET", "HEAD", "DELETE", "OPTIONS") and declared in (None, b"0")
        body = EMPTY_BODY if none else Body(None, b"", BodyState.UNSEEN)
    return Request(
        method=fields.encoded(method),
        target=fields.encoded(_with_query(target, at(entry, log.query))),
        version=b"1.1" if line is None or line[3] in (None, "0", "1") else line[3].encode(),
        headers=headers,
        trailers=(),
        body=body,
        start_ns=start,
        end_ns=None,
        authority=fields.encoded(authority) if authority else header(headers, b"host"),
        scheme=b"https" if (scheme or _text(entry, log.scheme)) == "https" else b"http",
    )


def _response(log: Log, entry: dict[str, Any], request: Request, end: int | None) -> Response | None:
    stated = at(entry, log.status)
    status = int(stated) if isinstance(stated, (int, str)) and re.fullmatch(r"[1-9]\d\d", str(stated)) else 0
    if not status:
        return None
    headers = headers_of(at(entry, log.answered_headers))
    headers = fields.with_default(headers, b"content-type", _text(entry, log.answered_type))
    body, headers = _body(at(entry, log.answered_body), headers)
    if body is None:
        none = is_bodiless(request.method, status)
        body = EMPTY_BODY if none else Body(None, b"", BodyState.UNSEEN)
    return Response(status, request.version, headers, (), body, request.start_ns if end is None else end, end)


def _body(found: Any, headers: Headers) -> tuple[Body | None, Headers]:
    """A body and its headers; None if there is none. A value that is no text is JSON that the writer has
    parsed.
    """
    if found is None or found == "":
        return None, headers
    if isinstance(found, str):
        try:
            coded = (header(headers, b"content-transfer-encoding") or b"").lower() == b"base64"
            data = fields.base64(found) if coded else fields.encoded(found)
        except NotBase64:
            return Body(None, b"", BodyState.UNDECODABLE), headers
    else:
        data = fields.encoded(json.dumps(found, separators=(",", ":"), ensure_ascii=False))
        headers = fields.with_default(headers, b"content-type", "application/json")
    return Body(None, data, BodyState.COMPLETE, coded=False), headers


def _with_query(target: str, found: Any) -> str:
    """The target, with a query that is logged apart from it."""
    if "?" in target or not found:
        return target
    if isinstance(found, str):
        return target if found == "-" else f"{target}?{found.removeprefix('?')}"
    if isinstance(found, dict):
        return f"{target}?{urlencode(found, doseq=True, errors='replace')}"
    return target


def _text(entry: dict[str, Any], places: Places) -> str | None:
    found = at(entry, places, str)
    return found if isinstance(found, str) else None
