"""HAR documents as browsers and proxies write them, for the tests of agent and server."""

from __future__ import annotations

import json
from typing import Any


def entry(
    method: str = "GET",
    url: str = "http://shop.example/pets/7?full=true",
    status: int = 200,
    *,
    body: Any = None,
    answer: Any = None,
    started: str = "2026-03-01T12:00:00.250Z",
    headers: dict[str, str] | None = None,
    answer_headers: dict[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One entry as Chromium writes it; `body` and `answer` are sent as JSON."""
    text = None if answer is None else json.dumps(answer)
    request: dict[str, Any] = {
        "method": method,
        "url": url,
        "httpVersion": "HTTP/1.1",
        "headers": [{"name": name, "value": value} for name, value in (headers or {}).items()],
        "queryString": [],
        "cookies": [],
        "headersSize": -1,
        "bodySize": 0,
    }
    if body is not None:
        sent = json.dumps(body)
        request["headers"].append({"name": "Content-Type", "value": "application/json"})
        request["postData"] = {"mimeType": "application/json", "text": sent}
        request["bodySize"] = len(sent.encode())
    fields = {"Content-Type": "application/json"} if text is not None else {}
    fields |= answer_headers or {}
    return {
        "_initiator": {"type": "script"},
        "startedDateTime": started,
        "time": 12.5,
        "request": request,
        "response": {
            "status": status,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "headers": [{"name": name, "value": value} for name, value in fields.items()],
            "cookies": [],
            "content": {"size": len((text or "").encode()), "mimeType": "application/json"}
            | ({} if text is None else {"text": text}),
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": -1,
        },
        "cache": {},
        "timings": {"blocked": 1, "dns": -1, "connect": -1, "send": 0.5, "wait": 10, "receive": 1, "ssl": -1},
        **more,
    }


def document(*entries: Any) -> bytes:
    """A HAR document with these entries."""
    log = {"version": "1.2", "creator": {"name": "t", "version": "1"}, "pages": [], "entries": list(entries)}
    return json.dumps({"log": log}).encode()
