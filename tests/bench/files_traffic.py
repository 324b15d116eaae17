"""Traffic for commands on files: HAR documents of a shop with 19 operations, and of a published API."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]
NAMES = ("users", "products", "orders", "invoices")
HOST = "api.shop.example"

_ADDRESS = {
    "type": "object",
    "required": ["street", "city"],
    "properties": {"street": {"type": "string"}, "city": {"type": "string"}, "zip": {"type": "string"}},
}
_LINE = {
    "type": "object",
    "required": ["sku", "count"],
    "properties": {
        "sku": {"type": "string"},
        "count": {"type": "integer", "minimum": 1},
        "price": {"type": "number"},
    },
}
_ITEM = {
    "type": "object",
    "required": ["id", "name"],
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "state": {"type": "string", "enum": ["new", "paid", "sent", "done"]},
        "createdAt": {"type": "string", "format": "date-time"},
        "ref": {"type": "string", "format": "uuid"},
        "note": {"type": "string", "nullable": True},
        "address": {"$ref": "#/components/schemas/Address"},
        "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
_SENT = {"$ref": "#/components/schemas/Item"}
_PAGE = {
    "type": "object",
    "required": ["items"],
    "properties": {"items": {"type": "array", "items": _SENT}, "next": {"type": "string", "nullable": True}},
}


def shop() -> Json:
    """The document: five operations on each of three collections, four on the last."""
    paths: Json = {}
    for name in NAMES:
        limit = {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}}
        paths[f"/{name}"] = {
            "get": {"parameters": [limit], "responses": _answers(200, _PAGE)},
            "post": {
                "requestBody": {"required": True, "content": _json(_SENT)},
                "responses": _answers(201, _SENT),
            },
        }
        one: Json = {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}]
        }
        one["get"] = {
            "responses": _answers(200, _SENT) | {"404": {"description": "none", "content": _json({})}}
        }
        one["put"] = {"requestBody": {"content": _json(_SENT)}, "responses": _answers(200, _SENT)}
        if name != NAMES[-1]:
            one["delete"] = {"responses": {"204": {"description": "gone"}}}
        paths[f"/{name}/{{id}}"] = one
    return {
        "openapi": "3.0.3",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": f"https://{HOST}/v1"}],
        "paths": paths,
        "components": {"schemas": {"Address": _ADDRESS, "Line": _LINE, "Item": _ITEM}},
    }


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _answers(status: int, schema: Json) -> Json:
    return {str(status): {"description": "ok", "content": _json(schema)}}


def shop_calls(number: int, seed: int = 1) -> Iterator[Json]:
    """HAR entries; one in fifty answers an undescribed field."""
    chance = random.Random(seed)
    for at in range(number):
        name, kind = (
            chance.choice(NAMES),
            chance.choice(("list", "get", "get", "get", "post", "put", "delete")),
        )
        path, item = f"/v1/{name}/{chance.randrange(5000)}", _item(chance, at)
        if kind == "list":
            page = {"items": [_item(chance, at) for _ in range(2)], "next": None}
            yield entry(at, "GET", HOST, f"/v1/{name}?limit={chance.randrange(1, 100)}", 200, page)
        elif kind == "get":
            yield entry(at, "GET", HOST, path, 200, item | ({"extra": 1} if at % 50 == 0 else {}))
        elif kind == "post":
            yield entry(at, "POST", HOST, f"/v1/{name}", 201, item, item)
        elif kind == "put" or name == NAMES[-1]:
            yield entry(at, "PUT", HOST, path, 200, item, item)
        else:
            yield entry(at, "DELETE", HOST, path, 204)


def _item(chance: random.Random, at: int) -> Json:
    number = chance.randrange(10**6)
    return {
        "id": number,
        "name": f"thing {number}",
        "state": chance.choice(("new", "paid", "sent", "done")),
        "createdAt": f"2026-11-{chance.randrange(1, 29):02}T12:{at % 60:02}:00Z",
        "ref": f"{number:08x}-4f89-41d3-9a0c-{at:012x}",
        "note": None if number % 2 else f"note {number}",
        "address": {
            "street": f"Way {number % 99}",
            "city": f"City {number % 500}",
            "zip": f"{number % 99999:05}",
        },
        "lines": [{"sku": f"sku-{number % 77}", "count": 1 + number % 5, "price": number / 100}],
        "tags": chance.sample(("a", "b", "c", "d"), 2),
    }


def calls_of(document: Json, host: str, number: int, seed: int = 1) -> Iterator[Json]:
    """HAR entries for random operations of a published document, answered as described but for fields."""
    chance = random.Random(seed)
    base = re.sub(r"^https?://[^/]*", "", document["servers"][0]["url"]).rstrip("/")
    operations = [
        (method.upper(), path, _lowest(item[method]["responses"]))
        for path, item in document["paths"].items()
        for method in item
        if method in ("get", "put", "post", "delete") and "#" not in path
    ]
    for at in range(number):
        method, path, status = chance.choice(operations)
        filled = re.sub(r"\{[^}]*\}", lambda _: str(chance.randrange(10**6)), path)
        sent = {"name": f"thing {at}"} if method in ("POST", "PUT") else None
        yield entry(at, method, host, base + filled, status, {"id": str(at)} if status != 204 else None, sent)


def _lowest(responses: Json) -> int:
    """The lowest status of a success; of a range its first."""
    return int(min(one for one in responses if one.startswith("2")).replace("X", "0"))


def entry(
    at: int, method: str, host: str, target: str, status: int, answer: Any = None, sent: Any = None
) -> Json:
    """A HAR entry as a browser writes it."""
    typed = {"name": "content-type", "value": "application/json"}
    text = "" if answer is None else json.dumps(answer)
    headers = [
        {"name": "accept", "value": "application/json"},
        {"name": "authorization", "value": f"Bearer {at % 40:032x}"},
        {"name": "user-agent", "value": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"},
        {"name": "x-request-id", "value": f"{at:032x}"},
    ]
    request: Json = {
        "method": method,
        "url": f"https://{host}{target}",
        "httpVersion": "HTTP/2.0",
        "headers": headers,
        "queryString": [],
        "cookies": [],
        "headersSize": -1,
        "bodySize": 0,
    }
    if sent is not None:
        request["headers"] = [*headers, typed]
        request["postData"] = {"mimeType": "application/json", "text": json.dumps(sent)}
        request["bodySize"] = len(request["postData"]["text"])
    return {
        "startedDateTime": f"2026-11-01T{at // 3600 % 24:02}:{at // 60 % 60:02}:{at % 60:02}.250Z",
        "time": 12.5,
        "request": request,
        "response": {
            "status": status,
            "statusText": "",
            "httpVersion": "HTTP/2.0",
            "headers": [typed, {"name": "date", "value": "Sun, 01 Nov 2026 12:00:00 GMT"}],
            "cookies": [],
            "content": {"size": len(text), "mimeType": "application/json", "text": text},
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        },
        "cache": {},
        "timings": {"blocked": 1, "dns": -1, "connect": -1, "send": 0.5, "wait": 10, "receive": 1, "ssl": -1},
    }


def write(path: Path, calls: Iterator[Json], times: int = 1) -> None:
    """The calls as a HAR document, so many times over."""
    lines = [json.dumps(call) for call in calls]
    with path.open("w") as out:
        out.write('{"log": {"version": "1.2", "creator": {"name": "bench", "version": "1"}, "entries": [\n')
        for turn in range(times):
            out.write((",\n" if turn else "") + ",\n".join(lines))
        out.write("\n]}}\n")
