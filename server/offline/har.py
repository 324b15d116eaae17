"""An exchange as the API answers it → an entry of a HAR 1.2 document, which browsers and proxies open."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote

Json = dict[str, Any]

SAFE = "".join(chr(byte) for byte in range(0x21, 0x7F))
VERSIONS = {"h1": "HTTP/1.1", "h3": "HTTP/3"}
LEFT_OUT = {"masked": "left out by redaction", "unseen": "not seen"}


def entry_of(exchange: Json) -> Json:
    """The entry; sizes that are not known are -1, as HAR says it."""
    timing = exchange["witnesses"][0]["timing"]
    send, wait, receive = (
        _between(timing[first], timing[second])
        for first, second in (
            ("request_start", "request_end"),
            ("request_end", "first_byte"),
            ("first_byte", "end"),
        )
    )
    entry = {
        "startedDateTime": exchange["time"],
        "time": _between(timing["request_start"], timing["end"]),
        "request": _request(exchange),
        "response": _response(exchange),
        "cache": {},
        "timings": {"send": send, "wait": wait, "receive": receive},
        "_spectap": {name: exchange[name] for name in ("id", "api", "operation", "verdict", "completeness")},
    }
    server = exchange["server"]
    return entry | ({} if server is None else {"serverIPAddress": server["ip"]})


def _between(first: str | None, second: str | None) -> float:
    """Milliseconds; 0 where a moment is not known, since HAR wants a number."""
    if first is None or second is None:
        return 0.0
    return max(0, _ns(second) - _ns(first)) / 1e6


def _ns(moment: str) -> int:
    whole, _, fraction = moment.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 1_000_000_000 + int(fraction)


def _request(exchange: Json) -> Json:
    message = exchange["request"] or {"headers": [], "size": None, "body": None, "content_type": None}
    query = exchange["query"]
    request = {
        "method": exchange["method"] or "",
        "url": _url(exchange),
        "queryString": [] if query is None else _pairs(parse_qsl(_text(query), keep_blank_values=True)),
        "bodySize": _size(message),
        **_head(exchange, message),
    }
    if message["body"] is not None and _bytes(message["body"]):
        request["postData"] = {"mimeType": message["content_type"] or "", **_content(message["body"])}
    return request


def _response(exchange: Json) -> Json:
    message, status = exchange["response"], exchange["status"] or 0
    if message is None:
        message = {"headers": [], "size": None, "body": None, "content_type": None, "state": "unseen"}
    content: Json = {"size": _size(message), "mimeType": message["content_type"] or ""}
    if message["body"] is not None:
        whole = message["state"] == "complete"
        content["size"] = len(_bytes(message["body"])) if whole else content["size"]
        content |= _content(message["body"])
    if message["state"] in LEFT_OUT:
        content["comment"] = LEFT_OUT[message["state"]]
    return {
        "status": status,
        "statusText": HTTPStatus(status).phrase if status in set(HTTPStatus) else "",
        "content": content,
        "redirectURL": next((v for n, v in _named(message) if n.lower() == "location"), ""),
        "bodySize": _size(message),
        **_head(exchange, message),
    }


def _head(exchange: Json, message: Json) -> Json:
    headers = [{"name": name, "value": value} for name, value in _named(message)]
    version = VERSIONS.get(exchange["protocol"], "HTTP/2.0")
    return {"httpVersion": version, "headers": headers, "cookies": [], "headersSize": -1}


def _url(exchange: Json) -> str:
    server = exchange["server"]
    host = exchange["host"]
    if host is None:
        ip = "unknown" if server is None else f"[{server['ip']}]" if ":" in server["ip"] else server["ip"]
        host = f"{ip}:{server['port']}" if server is not None and server["port"] else ip
    path = _escaped(exchange["path"])
    query = "" if exchange["query"] is None else "?" + _escaped(exchange["query"])
    return f"{exchange['scheme'] or 'http'}://{host}{path if path.startswith('/') else '/' + path}{query}"


def _escaped(shown: dict[str, str] | None) -> str:
    return "" if shown is None else quote(_bytes(shown), safe=SAFE)


def _named(message: Json) -> list[tuple[str, str]]:
    return [(_text(name), _text(value)) for name, value in message["headers"]]


def _pairs(pairs: Sequence[tuple[str, str]]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in pairs]


def _size(message: Json) -> int:
    return -1 if message["size"] is None else int(message["size"])


def _content(shown: dict[str, str]) -> Json:
    if "text" in shown:
        return {"text": shown["text"]}
    return {"text": shown["base64"], "encoding": "base64"}


def _bytes(shown: dict[str, str]) -> bytes:
    return shown["text"].encode() if "text" in shown else base64.b64decode(shown["base64"])


def _text(shown: dict[str, str]) -> str:
    return shown["text"] if "text" in shown else base64.b64decode(shown["base64"]).decode("latin-1")
