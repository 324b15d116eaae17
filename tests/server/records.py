"""Records as an agent sends them, each field with a plain default."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agent.wire import (
    Body,
    Capture,
    Consumer,
    Endpoint,
    Process,
    Record,
    Request,
    Residents,
    Response,
    Timing,
    pack_batch,
    pack_record,
)

NOON = 1_795_435_200_000_000_000  # 2026-11-23T12:00:00Z
MS = 1_000_000
NETNS = 4026531840

NGINX = Process(100, "nginx", "boot-1", 5, "/usr/sbin/nginx")
CURL = Process(200, "curl", "boot-1", 6, "/usr/bin/curl")
NO_BODY = Body(0, b"", "complete")


def record(
    ordinal: int = 0,
    side: str = "server",
    path: str | bytes = "/users/1",
    *,
    method: str = "GET",
    status: int | None = 200,
    port: int = 40000,
    start: int | None = None,
    took: int = 2 * MS,
    host: bytes | None = b"shop.local:8080",
    id: str | None = None,
    **changed: Any,
) -> Record:
    """One view of exchange `ordinal` of the connection from `port`. Exchanges start 10 ms apart and take
    `took` ns; the client's view starts 0.1 ms earlier and ends 0.1 ms later.
    """
    path = path.encode() if isinstance(path, str) else path
    begin = (NOON + ordinal * 10 * MS if start is None else start) + (0 if side == "client" else MS // 10)
    end = begin + took - (0 if side == "client" else MS // 5)
    query = None
    if b"?" in path:
        path, _, query = path.partition(b"?")
    request = Request(method, "http", host, path, query, ((b"host", host or b""),), (), NO_BODY, None)
    body = Body(11, b'{"id": "a"}', "complete")
    response = None if status is None else Response(status, (), (), body, "application/json")
    plain = Record(
        id=f"{side}-{port}-{ordinal}" if id is None else id,
        agent="agent-1",
        node="node-1",
        cluster=None,
        time=begin,
        monotonic=begin - NOON,
        protocol="h1",
        tls=None,
        side=side,
        connection=f"{side}-{port}",
        stream=ordinal,
        client=Endpoint("127.0.0.1", port, NETNS),
        server=Endpoint("127.0.0.1", 8080, NETNS),
        process=CURL if side == "client" else NGINX,
        request=request,
        response=response,
        timing=Timing(begin, begin + MS // 10, end - MS // 10, None if status is None else end),
        consumer=Consumer(user_agent="curl/8.0"),
        completeness="complete" if status is not None else "no-response",
    )
    return replace(plain, **changed)


def both(ordinal: int = 0, path: str | bytes = "/users/1", **options: Any) -> list[Record]:
    """The client's and the server's view of one exchange."""
    return [record(ordinal, side, path, **options) for side in ("client", "server")]


def batch(
    seq: int,
    records: list[Record],
    epoch: str = "epoch-1",
    agent: str = "agent-1",
    capture: Capture | None = None,
    residents: Residents | None = None,
) -> bytes:
    ledger = {"bytes": {"parsed": 100 * seq}, "exchanges": {"parsed": len(records)}, "kernel": {}}
    return pack_batch(agent, epoch, seq, ledger, [pack_record(one) for one in records], capture, residents)
