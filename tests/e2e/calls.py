"""The calls that a test has a client make: one JSON line each."""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import dataclass

from tests.e2e.observations import AGGREGATION_HEADER, Pairs, pairs, pairs_line

_number = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Call:
    """One request on keep-alive connection number `connection`, sent in pieces of `piece` bytes."""

    id: str
    method: str
    target: bytes
    headers: Pairs = ()
    body: bytes | None = None
    connection: int = 0
    piece: int | None = None


def fresh_id(about: str) -> str:
    """An id that no other call of this run has: words and a number, which no redaction rule masks."""
    return f"{about}-{next(_number):05d}"


def echo_call(about: str, connection: int = 0, path: str = "/echo", size: int = 0) -> Call:
    """A POST with its id in path, body and aggregation header; the body is JSON with `size` bytes of text."""
    name = fresh_id(about)
    text = " ".join(f"line {number}" for number in range(size // 8))
    body = json.dumps({"id": name, "text": text}).encode()
    headers = ((b"Content-Type", b"application/json"), (AGGREGATION_HEADER.encode(), name.encode()))
    return Call(name, "POST", f"{path}/{name}".encode(), headers, body, connection)


def get_call(about: str, path: str, connection: int = 0, headers: Pairs = (), query: str = "") -> Call:
    """A GET with its id in path and aggregation header."""
    name = fresh_id(about)
    named = (AGGREGATION_HEADER.encode(), name.encode())
    return Call(name, "GET", f"{path}/{name}{query}".encode(), (*headers, named), None, connection)


def to_line(call: Call) -> bytes:
    fact = {
        "id": call.id,
        "method": call.method,
        "target": base64.b64encode(call.target).decode(),
        "headers": pairs_line(call.headers),
        "body": None if call.body is None else base64.b64encode(call.body).decode(),
        "connection": call.connection,
        "piece": call.piece,
    }
    return json.dumps(fact).encode() + b"\n"


def from_line(line: bytes) -> Call:
    fact = json.loads(line)
    return Call(
        id=fact["id"],
        method=fact["method"],
        target=base64.b64decode(fact["target"]),
        headers=pairs(fact["headers"]) or (),
        body=None if fact["body"] is None else base64.b64decode(fact["body"]),
        connection=fact["connection"],
        piece=fact["piece"],
    )
