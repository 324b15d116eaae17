"""Exchanges as the kernel hands them over: bytes of plausible API calls, and the raw events around them.

`fresh` calls differ in path, ids, trace and body, as an API's do; `plain` ones are alike but for the path,
as a load generator's are, and answer 12 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from socket import AF_INET

from agent.probes.abi import LAYOUT, EventDirection, EventKind, EventRole, EventSource, RawEvent

CONNECTIONS = 8
NETNS = 4026531840
PID = 4242
LOOPBACK = bytes([127, 0, 0, 1]) + bytes(12)
MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP/1.1 exchange: the request's bytes and the response's, as two calls of the application."""

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


def raw_events(calls: Sequence[Call], role: EventRole = EventRole.SERVER) -> list[bytes]:
    """What the ring holds of these calls: one view each, spread over CONNECTIONS keep-alive connections."""
    sends, receives = EventDirection.SENT, EventDirection.RECEIVED
    asks, answers = (receives, sends) if role is EventRole.SERVER else (sends, receives)
    positions = [[0, 0] for _ in range(CONNECTIONS)]
    events = [_event(EventKind.OPENED, at, role, time_ns=at + 1) for at in range(CONNECTIONS)]
    for number, call in enumerate(calls):
        at, time_ns = number % CONNECTIONS, (number + 1) * MS
        for way, data in ((asks, call.request), (answers, call.response)):
            position = positions[at][way]
            events.append(_event(EventKind.CHUNK, at, role, way, position, data, time_ns))
            positions[at][way] += len(data)
            time_ns += MS // 4
    return events


def _event(
    kind: EventKind,
    connection: int,
    role: EventRole,
    way: int = 0,
    position: int = 0,
    data: bytes = b"",
    time_ns: int = 0,
) -> bytes:
    ports = (8080, 40000 + connection) if role is EventRole.SERVER else (40000 + connection, 8080)
    head = RawEvent(
        time_ns=time_ns,
        address=0xFFFF888000000000 + connection * 4096,
        generation=1000 + connection,
        position=position,
        length=len(data),
        captured=len(data),
        tgid=PID,
        netns=NETNS,
        local_port=ports[0],
        peer_port=ports[1],
        kind=kind,
        source=EventSource.SOCKET,
        direction=way,
        role=role,
        from_start=1,
        family=AF_INET,
        capped=0,
        local=LOOPBACK,
        peer=LOOPBACK,
        comm=b"nginx",
    )
    return LAYOUT.pack(*head) + data


WORKLOADS: dict[str, Callable[[int], Call]] = {"plain": plain, "fresh": fresh}
