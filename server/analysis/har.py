"""An exchange from the API → an entry of a HAR 1.2 document, for browsers and proxies."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import parse_qsl, quote

from server.analysis.exported import ExportedExchange, ExportedMessage, ExportedText
from server.analysis.json import Json, JsonObject

SAFE = "".join(chr(byte) for byte in range(0x21, 0x7F))
PHRASES = {status.value: status.phrase for status in HTTPStatus}
MINUTES = 1024  # remembered, since neighbouring exchanges share them
VERSIONS = {"h1": "HTTP/1.1", "h3": "HTTP/3"}
_PLAIN = re.compile(r"[\x21-\x7e]*")  # what `quote` leaves as it is
LEFT_OUT = {"masked": "left out by redaction", "unseen": "not seen"}
UNSEEN: ExportedMessage = {
    "headers": [],
    "size": None,
    "body": None,
    "content_type": None,
    "state": "unseen",
}


def entry_of(exchange: ExportedExchange) -> JsonObject:
    """The entry; unknown sizes are -1, as HAR defines."""
    timing = exchange["witnesses"][0]["timing"]
    began, sent = _ns(timing["request_start"]), _ns(timing["request_end"])
    answered, ended = _ns(timing["first_byte"]), _ns(timing["end"])
    entry: JsonObject = {
        "startedDateTime": exchange["time"],
        "time": _between(began, ended),
        "request": _request(exchange),
        "response": _response(exchange),
        "cache": {},
        "timings": {
            "send": _between(began, sent),
            "wait": _between(sent, answered),
            "receive": _between(answered, ended),
        },
        "_spectap": {
            "id": exchange["id"],
            "api": exchange["api"],
            "operation": exchange["operation"],
            "verdict": exchange["verdict"],
            "completeness": exchange["completeness"],
        },
    }
    if exchange["server"] is not None:
        entry["serverIPAddress"] = exchange["server"]["ip"]
    return entry


def _between(first: int | None, second: int | None) -> float:
    """Milliseconds; 0 if a time is unknown, since HAR requires a number."""
    if first is None or second is None:
        return 0.0
    return max(0, second - first) / 1e6


def _ns(moment: str | None) -> int | None:
    if moment is None:
        return None
    whole, _, fraction = moment.removesuffix("Z").partition(".")
    return (_minute(whole[:-2]) + int(whole[-2:])) * 1_000_000_000 + int(fraction)


@lru_cache(MINUTES)
def _minute(moment: str) -> int:
    """Seconds since the epoch at "2026-03-01T12:00:"."""
    return int(datetime.fromisoformat(f"{moment}00+00:00").timestamp())


def _request(exchange: ExportedExchange) -> JsonObject:
    message = exchange["request"] or UNSEEN
    query = exchange["query"]
    request: JsonObject = {
        "method": exchange["method"] or "",
        "url": _url(exchange),
        "queryString": [] if query is None else _pairs(parse_qsl(_text(query), keep_blank_values=True)),
        "bodySize": _size(message),
        **_head(exchange, message),
    }
    if message["body"] is not None and _bytes(message["body"]):
        request["postData"] = {"mimeType": message["content_type"] or "", **_content(message["body"])}
    return request


def _response(exchange: ExportedExchange) -> JsonObject:
    message, status = exchange["response"] or UNSEEN, exchange["status"] or 0
    content: JsonObject = {"size": _size(message), "mimeType": message["content_type"] or ""}
    if message["body"] is not None:
        whole = message["state"] == "complete"
        content["size"] = len(_bytes(message["body"])) if whole else content["size"]
        content |= _content(message["body"])
    if message["state"] in LEFT_OUT:
        content["comment"] = LEFT_OUT[message["state"]]
    return {
        "status": status,
        "statusText": PHRASES.get(status, ""),
        "content": content,
        "redirectURL": next((v for n, v in _named(message) if n.lower() == "location"), ""),
        "bodySize": _size(message),
        **_head(exchange, message),
    }


def _head(exchange: ExportedExchange, message: ExportedMessage) -> JsonObject:
    version = VERSIONS.get(exchange["protocol"], "HTTP/2.0")
    return {"httpVersion": version, "headers": _pairs(_named(message)), "cookies": [], "headersSize": -1}


def _url(exchange: ExportedExchange) -> str:
    server = exchange["server"]
    host = exchange["host"]
    if host is None:
        ip = "unknown" if server is None else f"[{server['ip']}]" if ":" in server["ip"] else server["ip"]
        host = f"{ip}:{server['port']}" if server is not None and server["port"] else ip
    path = _escaped(exchange["path"])
    query = "" if exchange["query"] is None else "?" + _escaped(exchange["query"])
    return f"{exchange['scheme'] or 'http'}://{host}{path if path.startswith('/') else '/' + path}{query}"


def _escaped(shown: ExportedText | None) -> str:
    if shown is None:
        return ""
    text = shown.get("text")
    return text if text is not None and _PLAIN.fullmatch(text) else quote(_bytes(shown), safe=SAFE)


def _named(message: ExportedMessage) -> list[tuple[str, str]]:
    return [(_text(name), _text(value)) for name, value in message["headers"]]


def _pairs(pairs: Sequence[tuple[str, str]]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in pairs]


def _size(message: ExportedMessage) -> int:
    return -1 if message["size"] is None else message["size"]


def _content(shown: ExportedText) -> JsonObject:
    if "text" in shown:
        return {"text": shown["text"]}
    return {"text": shown["base64"], "encoding": "base64"}


def _bytes(shown: ExportedText) -> bytes:
    return shown["text"].encode() if "text" in shown else base64.b64decode(shown["base64"])


def _text(shown: ExportedText) -> str:
    return shown["text"] if "text" in shown else base64.b64decode(shown["base64"]).decode("latin-1")
