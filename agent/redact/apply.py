"""An exchange becomes a record: the one door through which anything leaves the node.

Whatever is not named here is not shipped. Same exchange, sighting, policy and key: same record.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import astuple
from functools import lru_cache

from agent import wire
from agent.events import ConnectionKey
from agent.frozen import dataclass
from agent.http.messages import Exchange, Request, Response
from agent.redact import consumer, credentials, urls
from agent.redact.bodies import BodyMasks
from agent.redact.headers import HeaderMasks, first
from agent.redact.names import Names
from agent.redact.policy import Policy
from agent.redact.tally import MaskTally
from agent.redact.text import TextMasker

ID_BYTES = 16
CONNECTION_BYTES = 8
MAX_INT = 2**63 - 1
MAX_TYPE = 256  # characters of a content type

_PROTOCOLS_BY_VERSION = {b"2": "h2", b"3": "h3"}
_METHOD = re.compile(rb"[A-Za-z][A-Za-z-]{0,23}")
_PROTOCOLS = re.compile(r"(?i)(?:websocket|h2c|h2|tls|connect|http|spdy|irc|rtsp|tcp|unix)(?:/[0-9.]{1,4})?")
_REASONS = (
    # What parsers may say of malformed bytes. Their own words could quote the bytes, so they stay here.
    ("without host", "request without Host"),
    ("host", "illegal Host"),
    ("content-length", "illegal Content-Length"),
    ("transfer-encoding", "illegal Transfer-Encoding"),
    ("request line", "illegal request line"),
    ("status line", "illegal status line"),
    ("chunk", "illegal chunk"),
    ("header", "illegal header"),
    ("too long", "too long"),
    ("too large", "too long"),
    ("version", "illegal version"),
)


@dataclass(frozen=True, slots=True)
class Sighting:
    """Who saw an exchange, where, and between whom. Wall clock = monotonic + `offset_ns`.

    `tls` is the library, None in the clear; absent ends are unknown. `seen_ns` (monotonic) dates an
    exchange of which no message could be read.
    """

    agent: str
    node: str
    cluster: str | None
    offset_ns: int
    boot_id: str
    connection: ConnectionKey
    side: str
    tls: str | None
    client: wire.Endpoint | None
    server: wire.Endpoint | None
    process: wire.Process | None
    seen_ns: int = 0


def to_record(exchange: Exchange, sighting: Sighting, policy: Policy, key: bytes) -> wire.Record:
    """The redacted record of `exchange`. Bad traffic never raises; `key` makes the fingerprints."""
    tally = MaskTally()
    judge = _judge(policy.mask_names, policy.keep_names)
    request, found = _request(exchange.request, sighting, judge, policy, tally, key)
    response = _response(exchange.response, judge, policy, tally)
    began = _first_ns(exchange, sighting)
    return wire.Record(
        id=_digest(ID_BYTES, sighting, f"\0{exchange.ordinal}\0{sighting.side}".encode()),
        agent=sighting.agent,
        node=sighting.node,
        cluster=sighting.cluster,
        time=began + sighting.offset_ns,
        monotonic=began,
        protocol=_protocol(exchange),
        tls=sighting.tls,
        side=sighting.side,
        connection=_digest(CONNECTION_BYTES, sighting),
        stream=exchange.ordinal,
        client=sighting.client,
        server=sighting.server,
        process=sighting.process,
        request=request,
        response=response,
        timing=_timing(exchange, sighting.offset_ns),
        consumer=consumer.hints(exchange, request, policy, judge, found, key),
        completeness=exchange.completeness.value,
        upgraded=_upgraded(exchange.upgraded),
        error=None if exchange.error is None else _reason(exchange.error),
        masks=tuple(tally.masks),
        masks_left_out=tally.left_out,
        redactions=dict(tally.rules),
        grpc=None if exchange.grpc is None else wire.Grpc(*astuple(exchange.grpc)),
        fields_unknown=exchange.fields_unknown,
    )


def _protocol(exchange: Exchange) -> str:
    if exchange.grpc is not None:
        return "grpc"
    message = exchange.request or exchange.response
    return "h1" if message is None else _PROTOCOLS_BY_VERSION.get(message.version, "h1")


@lru_cache(maxsize=16)
def _judge(mask_names: frozenset[str], keep_names: frozenset[str]) -> TextMasker:
    return TextMasker(Names(mask_names, keep_names))


def _request(
    request: Request | None,
    sighting: Sighting,
    judge: TextMasker,
    policy: Policy,
    tally: MaskTally,
    key: bytes,
) -> tuple[wire.Request | None, credentials.Credential]:
    if request is None:
        return None, credentials.Credential()
    target = urls.mask_target(request.target, judge, tally, connect=request.method == b"CONNECT")
    masks = HeaderMasks(judge, policy, tally, "")
    headers = masks.masked(request.headers)
    return wire.Request(
        method=_method(request.method, tally),
        scheme=target.scheme or _scheme(request) or ("https" if sighting.tls else "http"),
        authority=_authority(request, target.authority, headers, tally),
        path=target.path,
        query=target.query,
        headers=headers,
        trailers=masks.masked(request.trailers),
        body=_body(BodyMasks(judge, policy, tally, "request.body"), request),
        content_type=_content_type(headers),
    ), credentials.find(request.headers, request.target.partition(b"?")[2], judge, key)


def _scheme(request: Request) -> str | None:
    """HTTP/2 says the scheme itself; anything but these two would be the peer's free text."""
    return {b"http": "http", b"https": "https"}.get(request.scheme or b"")


def _authority(request: Request, target: bytes | None, headers: wire.Pairs, tally: MaskTally) -> bytes | None:
    """From the target in absolute form, HTTP/2's :authority, or Host, in this order."""
    if target is None and request.authority is not None:
        return urls.mask_authority(request.authority, tally)
    return target if target is not None else first(headers, b"host")


def _response(
    response: Response | None, judge: TextMasker, policy: Policy, tally: MaskTally
) -> wire.Response | None:
    if response is None:
        return None
    masks = HeaderMasks(judge, policy, tally, "response.")
    headers = masks.masked(response.headers)
    return wire.Response(
        status=response.status,
        headers=headers,
        trailers=masks.masked(response.trailers),
        body=_body(BodyMasks(judge, policy, tally, "response.body"), response),
        content_type=_content_type(headers),
        interim=response.interim,
    )


def _body(masks: BodyMasks, message: Request | Response) -> wire.Body:
    body = masks.masked(message.body, message.headers)
    size = None if body.size is None else min(body.size, MAX_INT)
    return wire.Body(size, body.data, str(body.state))


def _content_type(headers: wire.Pairs) -> str | None:
    value = first(headers, b"content-type")
    return None if value is None else value.decode("latin-1")[:MAX_TYPE]


def _method(method: bytes, tally: MaskTally) -> str:
    if _METHOD.fullmatch(method):
        return method.decode()
    tally.rules["method"] += 1
    return "OTHER"


def _upgraded(protocol: bytes | None) -> str | None:
    if protocol is None:
        return None
    name = protocol.decode("latin-1").split(",")[0].strip()
    return name.lower() if _PROTOCOLS.fullmatch(name) else "other"


def _reason(error: str) -> str:
    lower = error.lower()
    return next((reason for mark, reason in _REASONS if mark in lower), "malformed")


def _first_ns(exchange: Exchange, sighting: Sighting) -> int:
    starts = [message.start_ns for message in (exchange.request, exchange.response) if message]
    return min(starts, default=sighting.seen_ns)


def _timing(exchange: Exchange, offset: int) -> wire.Timing:
    def wall(time_ns: int | None) -> int | None:
        return None if time_ns is None else time_ns + offset

    request, response = exchange.request, exchange.response
    return wire.Timing(
        request_start=wall(request.start_ns) if request else None,
        request_end=wall(request.end_ns) if request else None,
        first_byte=wall(response.start_ns) if response else None,
        end=wall(response.end_ns) if response else None,
    )


def _digest(size: int, sighting: Sighting, more: bytes = b"") -> str:
    """Hex of SHA-256 over who saw which connection, and `more`."""
    digest = _seen_by(sighting.agent, sighting.boot_id, sighting.connection).copy()
    digest.update(more)
    return digest.digest()[:size].hex()


@lru_cache(maxsize=4096)
def _seen_by(agent: str, boot_id: str, connection: ConnectionKey) -> hashlib._Hash:
    parts = (
        agent,
        boot_id,
        connection.source,
        str(connection.address),
        str(connection.pid or 0),  # as ids have always been made
        str(connection.generation),
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass"))
