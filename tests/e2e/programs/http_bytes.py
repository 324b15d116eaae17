"""A minimal HTTP/1.1 for the tests' own client and server, on bytes: no socket, and no code shared with the
agent, so that both cannot be wrong in the same way.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from hashlib import sha256

from tests.e2e.observations import AGGREGATION_HEADER, Pairs, header

LARGEST_MESSAGE = 8 * 1024 * 1024  # bytes; our own programs never send more


@dataclass(frozen=True, slots=True)
class Message:
    """A request or response: the three words of its first line, its headers, its payload."""

    first: tuple[bytes, bytes, bytes]
    headers: Pairs
    payload: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Pairs
    payload: bytes
    wire: bytes
    close: bool


def _unchunk(raw: bytes) -> tuple[bytes, int] | None:
    """Decodes the chunked body at the start of `raw`, with the number of bytes it took; None if
    incomplete.
    """
    parts, at = [], 0
    while True:
        line_end = raw.find(b"\r\n", at)
        if line_end < 0:
            return None
        size = int(raw[at:line_end].split(b";")[0], 16)
        at = line_end + 2
        if len(raw) < at + size + 2:
            return None
        parts.append(raw[at : at + size])
        at += size + 2
        if size == 0:
            return b"".join(parts), at


def take(buffer: bytes, *, ended: bool = False, no_body: bool = False) -> tuple[Message, bytes] | None:
    """The first message in `buffer` and the rest; None while it is incomplete.

    A response without length ends with the connection (`ended`); `no_body` is for responses to HEAD.
    """
    if len(buffer) > LARGEST_MESSAGE:
        raise ValueError("message too large")
    head_end = buffer.find(b"\r\n\r\n")
    if head_end < 0:
        return None
    first, *lines = buffer[:head_end].split(b"\r\n")
    words = [*first.split(b" ", 2), b""]
    split = [line.split(b":", 1) for line in lines]
    headers = tuple((name, value.strip()) for name, value in split)
    rest = buffer[head_end + 4 :]
    start = (words[0], words[1], words[2])
    length = header(headers, "Content-Length")
    if no_body or (first.startswith(b"HTTP/") and words[1] in (b"204", b"304")):
        return Message(start, headers, b""), rest
    if header(headers, "Transfer-Encoding") == b"chunked":
        body = _unchunk(rest)
        return None if body is None else (Message(start, headers, body[0]), rest[body[1] :])
    if length is not None:
        size = int(length)
        return None if len(rest) < size else (Message(start, headers, rest[:size]), rest[size:])
    if first.startswith(b"HTTP/"):
        return (Message(start, headers, rest), b"") if ended else None
    return Message(start, headers, b""), rest


def call_id(message: Message) -> str:
    """The id of a call: in the aggregation header, else the path's last segment."""
    named = header(message.headers, AGGREGATION_HEADER)
    if named is not None:
        return named.decode("latin-1")
    return message.first[1].split(b"?")[0].rsplit(b"/", 1)[-1].decode("latin-1")


def pattern(size: int) -> bytes:
    """`size` bytes of JSON, a list of different texts, so that a shifted copy is noticed.

    It has words and small numbers only, which redaction does not mask.
    """
    lines = (b'"line %06d of a long answer",\n' % number for number in range(size // 32 + 1))
    text = b"[" + b"".join(lines)
    return text[: size - 8].rsplit(b",", 1)[0].ljust(size - 1) + b"]"


def _payload(message: Message) -> bytes:
    if message.payload:
        return message.payload
    name = call_id(message)
    return json.dumps({"id": name, "digest": sha256(name.encode()).hexdigest()[:8]}).encode()


def _frame(status: int, headers: Pairs, payload: bytes, framing: bytes, head_only: bool) -> bytes:
    lines = [b"%s: %s" % pair for pair in headers]
    if framing == b"chunked":
        lines.append(b"Transfer-Encoding: chunked")
        pieces = [payload[at : at + 1000] for at in range(0, len(payload), 1000)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    elif framing == b"close":
        lines.append(b"Connection: close")
        body = payload
    else:
        lines.append(b"Content-Length: %d" % len(payload))
        body = payload
    head = b"HTTP/1.1 %d Echo\r\n" % status + b"\r\n".join(lines) + b"\r\n\r\n"
    return head if head_only else head + body


def reply(request: Message, extra: Pairs) -> Reply:
    """The echo server's response; the path's first segment selects its form.

    /echo/… returns the body; /bytes/N/… N bytes of `pattern`; /status/N/… that status; /gzip/…, /chunked/…
    and /close/… return the body with that coding or framing.
    """
    method, target, _ = request.first
    segments = target.split(b"?")[0].split(b"/")[1:]
    mode, status, payload = segments[0], 200, _payload(request)
    content_type = header(request.headers, "Content-Type") or b"application/json"
    headers: list[tuple[bytes, bytes]] = [
        (AGGREGATION_HEADER.encode(), call_id(request).encode("latin-1")),
        *extra,
    ]
    if mode == b"bytes":
        payload, content_type = pattern(int(segments[1])), b"application/json"
    elif mode == b"status":
        status = int(segments[1])
    elif mode == b"gzip":
        payload = gzip.compress(payload, mtime=0)
        headers.append((b"Content-Encoding", b"gzip"))
    headers.append((b"Content-Type", content_type))
    head_only = method == b"HEAD" or status in (204, 304)
    wire = _frame(status, tuple(headers), payload, mode, head_only)
    return Reply(status, tuple(headers), b"" if head_only else payload, wire, mode == b"close")
