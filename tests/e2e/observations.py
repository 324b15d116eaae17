"""What one end of a call logged: one JSON line per exchange.

The tests' own clients and servers write these, independent of any capture, and the tests compare them with
what spectap stored. Bytes are base64 in the file; a fact that an end cannot know (wget does not log its port)
is None.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

Pairs = tuple[tuple[bytes, bytes], ...]
Peer = tuple[str, int]

AGGREGATION_HEADER = "X-Spectap-Test"
LARGEST_LOGGED_BODY = 256 * 1024  # bytes; of larger bodies the log has size and digest only


@dataclass(frozen=True, slots=True)
class Payload:
    """A body after transfer coding and before content coding; `data` is None if it is not known."""

    size: int
    sha256: str | None
    data: bytes | None

    @classmethod
    def of(cls, data: bytes) -> Payload:
        kept = data if len(data) <= LARGEST_LOGGED_BODY else None
        return cls(len(data), hashlib.sha256(data).hexdigest(), kept)


@dataclass(frozen=True, slots=True)
class Observation:
    """One exchange as `end` ("client" or "server") logged it. Times are wall-clock ns."""

    end: str
    id: str
    method: str
    target: bytes
    status: int
    request_headers: Pairs | None
    request: Payload | None
    response_headers: Pairs | None
    response: Payload | None
    local: Peer | None
    peer: Peer | None
    start_ns: int | None
    end_ns: int | None
    pid: int | None


def header(headers: Iterable[tuple[bytes, bytes]], name: str) -> bytes | None:
    """The first value of `name`, case-insensitive."""
    wanted = name.lower().encode()
    return next((value for key, value in headers if key.lower() == wanted), None)


def decoded(payload: Payload, headers: Pairs | None) -> bytes | None:
    """The body without its content coding (the programs use only gzip)."""
    if payload.data is None or headers is None or header(headers, "Content-Encoding") != b"gzip":
        return payload.data
    return gzip.decompress(payload.data)


def peer(ip: str, port: int) -> Peer:
    """An address in spectap's form: IPv4-mapped IPv6 as IPv4."""
    address = ip_address(ip)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address), port


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _payload_line(payload: Payload | None) -> dict[str, Any] | None:
    if payload is None:
        return None
    data = None if payload.data is None else _text(payload.data)
    return {"size": payload.size, "sha256": payload.sha256, "data": data}


def _payload(line: dict[str, Any] | None) -> Payload | None:
    if line is None:
        return None
    data = None if line["data"] is None else base64.b64decode(line["data"])
    return Payload(line["size"], line["sha256"], data)


def pairs_line(pairs: Pairs | None) -> list[list[str]] | None:
    return None if pairs is None else [[_text(name), _text(value)] for name, value in pairs]


def pairs(line: list[list[str]] | None) -> Pairs | None:
    return None if line is None else tuple((base64.b64decode(n), base64.b64decode(v)) for n, v in line)


def to_line(seen: Observation) -> bytes:
    """The observation as one line, appended with a single write."""
    fact = {
        "end": seen.end,
        "id": seen.id,
        "method": seen.method,
        "target": _text(seen.target),
        "status": seen.status,
        "request_headers": pairs_line(seen.request_headers),
        "request": _payload_line(seen.request),
        "response_headers": pairs_line(seen.response_headers),
        "response": _payload_line(seen.response),
        "local": seen.local,
        "peer": seen.peer,
        "start_ns": seen.start_ns,
        "end_ns": seen.end_ns,
        "pid": seen.pid,
    }
    return json.dumps(fact).encode() + b"\n"


def from_line(line: bytes) -> Observation:
    fact = json.loads(line)
    return Observation(
        end=fact["end"],
        id=fact["id"],
        method=fact["method"],
        target=base64.b64decode(fact["target"]),
        status=fact["status"],
        request_headers=pairs(fact["request_headers"]),
        request=_payload(fact["request"]),
        response_headers=pairs(fact["response_headers"]),
        response=_payload(fact["response"]),
        local=None if fact["local"] is None else peer(*fact["local"]),
        peer=None if fact["peer"] is None else peer(*fact["peer"]),
        start_ns=fact["start_ns"],
        end_ns=fact["end_ns"],
        pid=fact["pid"],
    )


def read(log: Path) -> list[Observation]:
    """All complete lines of a log, in the order written; none if the file does not exist yet."""
    if not log.exists():
        return []
    lines = log.read_bytes().split(b"\n")[:-1]
    return [from_line(line) for line in lines]
