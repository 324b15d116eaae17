"""The records that agents make of a call, by each node's clock and with each node's knowledge."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from agent.wire import Body, Consumer, Endpoint, Process, Record, Request, Response, Timing
from tests.oracle.calls import Call, Saw, ip_of
from tests.oracle.kinds import KINDS, CallKind
from tests.oracle.world import ADDRESSES, CALLERS, CLUSTER, HOST_NETNS, SERVERS, Caller, Place
from tests.server.records import NOON

JSON = "application/json"

Skews = Mapping[str, int]
"""How far each node's clock is ahead, in ns."""


def views(call: Call, skews: Skews) -> Iterator[Record]:
    """The reports on a call, the client's view first."""
    caller, server = CALLERS[call.caller], SERVERS[call.server]
    if call.client_saw is not None and caller.node is not None:
        yield _view(call, "client", caller.node, call.client_saw, skews[caller.node])
    if call.server_saw is not None:
        node = server.places[call.place].node
        yield _view(call, "server", node, call.server_saw, skews[node])


def _view(call: Call, side: str, node: str, saw: str, skew: int) -> Record:
    kind = KINDS[call.kind]
    at_server = side == "server"
    start = call.start + skew + (call.there if at_server else 0)
    end = call.start + skew + call.took - (call.back if at_server else 0)
    answered = kind.status is not None and saw != Saw.UNANSWERED
    connection = f"{side}-{call.connection}"
    stream = call.stream - call.joined if at_server else call.stream
    client, server = (_at_server if at_server else _at_client)(call, node)
    if side in call.unplaced:
        client = server = None
    return Record(
        id=hashlib.blake2b(f"{node} {connection} {stream}".encode(), digest_size=8).hexdigest(),
        agent=f"agent-{node}",
        node=node,
        cluster=CLUSTER,
        time=start,
        monotonic=start - NOON,
        protocol=call.protocol,
        tls="openssl" if call.unplaced else None,
        side=side,
        connection=connection,
        stream=stream,
        client=client,
        server=server,
        process=_process(call, at_server),
        request=_request(call, kind),
        response=_response(kind, saw) if answered else None,
        timing=Timing(
            start,
            start + call.took // 8,
            end - call.took // 8 if answered else None,
            end if answered else None,
        ),
        consumer=_consumer(CALLERS[call.caller], at_server),
        completeness=_completeness(answered, saw),
        absolute=not call.joined,
    )


def _at_client(call: Call, node: str) -> tuple[Endpoint | None, Endpoint | None]:
    """Both ends as the client's agent knows them: its own pod, and the called address."""
    caller, address = CALLERS[call.caller], ADDRESSES[call.address]
    netns = HOST_NETNS[node] if caller.netns is None else caller.netns
    own = Endpoint(ip_of(caller, address), call.port, netns, caller.pod, caller.namespace, caller.workload)
    return own, Endpoint(address.ip, address.port, netns if address.local_to else None)


def _at_server(call: Call, node: str) -> tuple[Endpoint | None, Endpoint | None]:
    """Both ends as the server's agent knows them: the caller, and its own pod or process."""
    caller, address, server = CALLERS[call.caller], ADDRESSES[call.address], SERVERS[call.server]
    place: Place = server.places[call.place]
    ip = address.ip if address.local_to else place.ip
    client = Endpoint(ip_of(caller, address), call.port)
    if caller.known_everywhere:
        client = replace(client, pod=caller.pod, namespace=caller.namespace, workload=caller.workload)
    return client, Endpoint(ip, place.port, place.netns, place.pod, server.namespace, server.workload)


def _process(call: Call, at_server: bool) -> Process:
    caller, server = CALLERS[call.caller], SERVERS[call.server]
    name, unit = (server.name, None) if at_server else (caller.process, caller.unit)
    return Process(100, name, "boot-1", 5, f"/usr/bin/{name}", unit)


def _consumer(caller: Caller, at_server: bool) -> Consumer:
    """A certificate is known only where it is checked."""
    return Consumer(caller.user_agent, client_name=caller.certificate if at_server else None)


def _request(call: Call, kind: CallKind) -> Request:
    host = SERVERS[call.server].host.encode()
    body = kind.asked.encode()
    return Request(
        method=kind.method,
        scheme="http",
        authority=host,
        path=kind.path.format(call.number).encode(),
        query=None if kind.query is None else kind.query.encode(),
        headers=((b"host", host),),
        trailers=(),
        body=Body(len(body), body, "complete"),
        content_type=JSON if body else None,
    )


def _response(kind: CallKind, saw: str) -> Response:
    assert kind.status is not None
    raw = kind.answered.encode()
    body = Body(len(raw), None, "unseen") if saw == Saw.BODY_UNSEEN else Body(len(raw), raw, "complete")
    return Response(kind.status, (), (), body, JSON if raw else None)


def _completeness(answered: bool, saw: str) -> str:
    if not answered:
        return "no-response"
    return "gap" if saw == Saw.BODY_UNSEEN else "complete"
