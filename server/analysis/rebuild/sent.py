"""What a request or response sent by name, as plain values that a shape can learn from.

A query becomes an object: a text for a name sent once, an array for one sent again, an object for
`name[field]`, null for an empty one; a list between commas goes under the name and COMMAS.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from email import message_from_bytes, policy
from functools import lru_cache
from itertools import islice
from typing import Any

from agent.wire import Pairs, Record
from server.analysis.rebuild.shapes.values import Hidden
from server.analysis.specs.judging.parameters import query_texts
from server.analysis.specs.judging.values import text_of

COMMAS = "\1,"
ANY_NAME = "0"  # stands for names that are not kept; being a number, it makes the names free
MOST_NAMES = 200  # names of one query or form, and cookies of one request; the rest is not learnt
LONGEST_NAME = 100  # characters of a name that is learnt
MOST_PARTS = 200  # of a multipart form

_POLICY = policy.default.clone(raise_on_defect=False)
_DEEP = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")
_LIST = re.compile(r"[\w.:@+-]{1,40}(?:,[\w.:@+-]{1,40}){1,200}")

_OF_HTTP = frozenset(
    [
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "age",
        "alt-svc",
        "authorization",
        "cache-control",
        "connection",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-range",
        "content-type",
        "cookie",
        "date",
        "dnt",
        "expect",
        "expires",
        "forwarded",
        "from",
        "host",
        "keep-alive",
        "last-event-id",
        "last-modified",
        "max-forwards",
        "origin",
        "p3p",
        "pragma",
        "priority",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "referer",
        "save-data",
        "server",
        "server-timing",
        "set-cookie",
        "strict-transport-security",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "upgrade-insecure-requests",
        "user-agent",
        "vary",
        "via",
        "warning",
        "x-powered-by",
        "x-xss-protection",
        "content-md5",
        "x-content-type-options",
        "x-frame-options",
        "content-security-policy",
        "referrer-policy",
        "permissions-policy",
    ]
)
"""Headers of HTTP itself, of browsers and of policies: they say nothing of an API."""

_OF_PROXIES = re.compile(
    r"x-forwarded-.*|x-real-ip|x-b3-.*|b3|traceparent|tracestate|baggage|x-request-id|x-correlation-id"
    r"|x-amzn?-.*|cf-.*|x-envoy-.*|x-datadog-.*|uber-trace-id|x-cloud-.*|x-ot-.*|sentry-.*|newrelic"
    r"|sec-.*|access-control-.*|x-runtime|x-served-by|x-cache.*|x-timer|nel|report-to|proxy-.*|:.*"
    r"|x-original-.*|true-client-ip|x-client-ip|x-cluster-client-ip|grpc-.*|x-requested-with"
)


@lru_cache(maxsize=4096)
def header_name(raw: bytes) -> str | None:
    """A header's name in lower case; None where it is not an API's own."""
    name = raw.decode("latin-1").lower()
    known = name in _OF_HTTP or len(name) > LONGEST_NAME or _OF_PROXIES.fullmatch(name)
    return None if known else name


class Masked:
    """Which values of a record are placeholders."""

    __slots__ = ("_all", "_places")

    def __init__(self, record: Record) -> None:
        self._all = record.masks_left_out > 0
        self._places: dict[str, set[str]] = {}
        for mask in record.masks:
            pointer = mask.pointer.lower() if mask.where.endswith("header") else mask.pointer
            self._places.setdefault(mask.where, set()).add(pointer)

    def names(self, where: str) -> Collection[str]:
        return self._places.get(where, ())

    @property
    def everywhere(self) -> bool:
        """Whether masks were left out, so that any value may be one."""
        return self._all

    def segments(self) -> frozenset[int]:
        """Indices of the path's segments that are placeholders."""
        places = self._places.get("path", ())
        return frozenset(int(place) for place in places if place.isdecimal() and len(place) < 6)

    def hidden(self, where: str, name: str, text: str) -> Any:
        """The text, hidden if it is a placeholder."""
        return Hidden(text) if self._all or name in self._places.get(where, ()) else text


def headers_of(headers: Pairs, where: str, masked: Masked) -> dict[str, Any]:
    """An API's own headers."""
    found: dict[str, Any] = {}
    for raw, value in headers:
        name = header_name(raw)
        if name is not None and len(found) < MOST_NAMES:
            found[name] = masked.hidden(where, name, value.decode("latin-1")) if value else None
    return found


def cookies_of(headers: Pairs, masked: Masked) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for raw, line in headers:
        if raw.lower() != b"cookie":
            continue
        for pair in line.split(b";"):
            name, equals, value = pair.strip().decode("latin-1").partition("=")
            if equals and name and len(name) <= LONGEST_NAME and len(found) < MOST_NAMES:
                found[name] = masked.hidden("cookie", name, value) if value else None
    return found


def query_of(query: bytes | None, where: str, masked: Masked) -> dict[str, Any]:
    """A query or a form of the same notation."""
    found: dict[str, Any] = {}
    for name, sent in query_texts(query).items():
        if len(name) > LONGEST_NAME or len(found) >= MOST_NAMES or COMMAS[0] in name:
            found[ANY_NAME] = None
            continue
        shown = name if where == "query" else "/" + name.replace("~", "~0").replace("/", "~1")
        texts = [masked.hidden(where, shown, text_of(raw)) if raw else None for raw in sent]
        deep = _DEEP.fullmatch(name)
        if deep is not None and type(found.get(deep[1], {})) is dict:
            found.setdefault(deep[1], {})[deep[2]] = texts[0]
        elif len(texts) > 1:
            found[name] = texts
        elif type(texts[0]) is str and "," in texts[0] and _LIST.fullmatch(texts[0]):
            found[name + COMMAS] = texts[0].split(",")
        else:
            found[name] = texts[0]
    return found


def multipart_of(body: bytes, content_type: str, masked: Masked) -> dict[str, Any] | None:
    """The fields of a multipart form (RFC 7578), True for a file's content; None where it is none."""
    head = b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n"
    message = message_from_bytes(head + body, policy=_POLICY)
    if not message.is_multipart():
        return None
    found: dict[str, Any] = {}
    for part in islice(message.iter_parts(), MOST_PARTS):
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str) or not name or len(name) > LONGEST_NAME:
            continue
        if part.get_filename() is not None:
            found[name] = True
        else:
            payload = part.get_payload(decode=True)
            text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
            value = masked.hidden("request.body", "/" + name, text) if text else None
            found[name] = [*_list(found[name]), value] if name in found else value
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def hide(value: Any, pointers: Collection[str], everywhere: bool) -> Any:
    """A JSON value with the scalars at these pointers, and all below them, hidden."""
    if everywhere or any(len(pointer) >= 256 for pointer in pointers):
        return _hide_all(value)
    holder: Any = {"": value}
    for pointer in pointers:
        parts = pointer.split("/")[1:]
        _hide_at(holder, ["", *(part.replace("~1", "/").replace("~0", "~") for part in parts)])
    return holder[""]


def _hide_at(holder: Any, parts: list[str]) -> None:
    for part in parts[:-1]:
        key: Any = int(part) if isinstance(holder, list) and part.isdecimal() else part
        try:
            holder = holder[key]
        except (KeyError, IndexError, TypeError):
            return
    last: Any = int(parts[-1]) if isinstance(holder, list) and parts[-1].isdecimal() else parts[-1]
    try:
        holder[last] = _hide_all(holder[last])
    except (KeyError, IndexError, TypeError):
        return


def _hide_all(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _hide_all(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_hide_all(one) for one in value]
    return value if value is None or isinstance(value, (bool, Hidden)) else Hidden(value)
