"""Telemetry as gateway plugins post it, for the tests of the reader and of the listener."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any


def common(body: bytes = b"", cut: bool = False, **headers: str) -> dict[str, Any]:
    return {
        "version": "HTTP/1.1",
        "time": 1_772_366_400_250,
        "headers": [{"key": key.replace("_", "-"), "value": value} for key, value in headers.items()],
        "body": b64encode(body).decode(),
        "TruncatedBody": cut,
    }


def telemetry(method: str = "GET", path: str = "/pets/7?full=true", **changes: Any) -> bytes:
    """One object; `asked` and `answered` are the two sides' `common`."""
    json_type = "application/json"
    asked = changes.pop("asked", common(Host="shop.example", User_Agent="curl/8"))
    answered = changes.pop("answered", common(b'{"id": 7}', Content_Type=json_type))
    whole = {
        "requestID": "r-1",
        "scheme": "https",
        "destinationAddress": "10.0.0.9:8080",
        "destinationNamespace": "shop",
        "sourceAddress": "10.0.0.7:51000",
        "request": {"method": method, "path": path, "host": "shop.example", "common": asked},
        "response": {"statusCode": "200", "common": answered},
        **changes,
    }
    return json.dumps(whole).encode()
