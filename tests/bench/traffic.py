"""Exchanges as the kernel delivers them: bytes of plausible API calls, in raw events.

`fresh` calls differ in path, ids, trace and body, like an API's; `plain` ones differ in the path only, like a
load generator's, and have responses of 12 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from socket import AF_INET

from h2.config import H2Configuration
from h2.connection import H2Connection

from agent.probes.abi import LAYOUT, EventDirection, EventKind, EventRole, EventSource, RawEvent

CONNECTIONS = 8
NETNS = 4026531840
PID = 4242
LOOPBACK = bytes([127, 0, 0, 1]) + bytes(12)
MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP/1.1 exchange: the bytes of request and response, as two calls of the application."""

    request: bytes
    response: bytes


def plain(number: int) -> Call:
    request = (
        f"GET /static/{number} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
        "User-Agent: h2load nghttp2/1.52.0\r\nAccept: */*\r\n\r\n"
    )
    response = (
        "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\n"
        "Content-Type: text/plain\r\nContent-Length: 12\r\nConnection: keep-alive\r\n\r\nhello world\n"
    )
    return Call(request.encode(), response.encode())


def fresh(number: int) -> Call:
    asked = json.dumps({"customer": f"c-{number}", "note": "by noon", "items": _items(number)}).encode()
    answered = json.dumps(
        {"id": number, "status": "accepted", "total": 12.5, "customer": {"id": f"c-{number}", "tier": "gold"}}
        | {"items": _items(number), "links": {"self": f"/v1/orders/{number}"}}
    ).encode()
    trace = f"00-{number:032x}-{number:016x}-01"
    request = (
        f"POST /v1/orders/{number}?dry_run=false&page=2 HTTP/1.1\r\nHost: orders.shop.local:8080\r\n"
        "User-Agent: shop-frontend/4.1 (python-httpx/0.28)\r\nAccept: application/json\r\n"
        "Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n"
        "Authorization: Bearer c2hvcDpub3QtYS1yZWFsLXRva2Vu\r\n"
        f"X-Request-Id: order-{number}\r\nTraceparent: {trace}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(asked)}\r\n\r\n"
    )
    response = (
        "HTTP/1.1 201 Created\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(answered)}\r\nConnection: keep-alive\r\n"
        f"Location: /v1/orders/{number}\r\nCache-Control: no-store\r\nX-Request-Id: order-{number}\r\n\r\n"
    )
    return Call(request.encode() + asked, response.encode() + answered)


def _items(number: int) -> list[dict[str, object]]:
    return [
        {"sku": f"A-{number % 97}-{i}", "quantity": i + 1, "price": 4.25, "gift": False} for i in range(3)
    ]


def raw_events(calls: Sequence[Call]) -> list[bytes]:
    """The content of the ring for these calls: the server's view of each, on CONNECTIONS keep-alive
    connections.
    """
    positions = [[0, 0] for _ in range(CONNECTIONS)]
    events = [_event(EventKind.OPENED, at, time_ns=at + 1) for at in range(CONNECTIONS)]
    for number, call in enumerate(calls):
        at, time_ns = number % CONNECTIONS, (number + 1) * MS
        for way, data in ((EventDirection.RECEIVED, call.request), (EventDirection.SENT, call.response)):
            position = positions[at][way]
            events.append(_event(EventKind.CHUNK, at, way, position, data, time_ns))
            positions[at][way] += len(data)
            time_ns += MS // 4
    return events


def over_http2(calls: Sequence[Call]) -> list[Call]:
    """The same calls as the halves of CONNECTIONS HTTP/2 connections, one stream each."""
    talks = [_talk() for _ in range(CONNECTIONS)]
    return [_stream(*talks[number % CONNECTIONS], call) for number, call in enumerate(calls)]


def _talk() -> tuple[H2Connection, H2Connection]:
    """Client and server of a connection, before they send preface and settings."""
    client = H2Connection(H2Configuration(client_side=True, header_encoding=None))
    server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    for end in (client, server):
        end.initiate_connection()
    return client, server


def _stream(client: H2Connection, server: H2Connection, call: Call) -> Call:
    stream = client.get_next_available_stream_id()
    line, asked, body = _parts(call.request)
    method, target, _ = line.split(b" ")
    host = next(value for name, value in asked if name == b"host")
    pseudo = [(b":method", method), (b":scheme", b"https"), (b":authority", host), (b":path", target)]
    client.send_headers(stream, pseudo + asked, end_stream=not body)
    if body:
        client.send_data(stream, body, end_stream=True)
    request = client.data_to_send()
    server.receive_data(request)
    line, answered, body = _parts(call.response)
    server.send_headers(stream, [(b":status", line.split(b" ")[1]), *answered])
    server.send_data(stream, body, end_stream=True)
    server.increment_flow_control_window(len(request))
    response = server.data_to_send()
    client.receive_data(response)
    client.increment_flow_control_window(len(response))
    return Call(request, response)


def _parts(message: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Start line, the headers that HTTP/2 keeps, body."""
    head, _, body = message.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    pairs = [(name.lower(), value.strip()) for name, _, value in (one.partition(b":") for one in lines)]
    return line, [pair for pair in pairs if pair[0] != b"connection"], body


def _event(
    kind: EventKind,
    connection: int,
    way: int = 0,
    position: int = 0,
    data: bytes = b"",
    time_ns: int = 0,
) -> bytes:
    head = RawEvent(
        time_ns=time_ns,
        address=0xFFFF888000000000 + connection * 4096,
        generation=1000 + connection,
        position=position,
        length=len(data),
        captured=len(data),
        tgid=PID,
        netns=NETNS,
        local_port=8080,
        peer_port=40000 + connection,
        kind=kind,
        source=EventSource.SOCKET,
        direction=way,
        role=EventRole.SERVER,
        from_start=1,
        family=AF_INET,
        capped=0,
        local=LOOPBACK,
        peer=LOOPBACK,
        comm=b"nginx",
    )
    return LAYOUT.pack(*head) + data


WORKLOADS: dict[str, Callable[[int], Call]] = {"plain": plain, "fresh": fresh}
