"""Turns an exchange into a record: nothing leaves the node by another way.

Whatever is not named here is not shipped.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import astuple
from functools import lru_cache

from agent import wire
from agent.events import PACKET, ConnectionKey
from agent.frozen import dataclass
from agent.http.messages import Exchange, Request, Response, WebSocketSeen
from agent.redact import consumer, credentials, sub_operations, urls, websocket
from agent.redact.bodies import BodyMasks, ContentTypes
from agent.redact.headers import HeaderMasks, HeaderMemory, first
from agent.redact.mask_log import MaskLog
from agent.redact.names import Names
from agent.redact.policy import Policy
from agent.redact.text import TextMasker

ID_BYTES = 16
CONNECTION_BYTES = 8
MAX_INT = 2**63 - 1
MAX_TYPE = 256  # characters of a content type
OTHER_METHOD = "OTHER"  # no method of HTTP, which are verbs
MAX_CONNECTIONS = 4096  # whose part of an id is cached
UNTIMED = wire.Timing(None, None, None, None)

_PROTOCOLS_BY_VERSION = {b"2": "h2", b"3": "h3"}
_METHOD = re.compile(rb"[A-Za-z][A-Za-z-]{0,23}")
_PROTOCOLS = re.compile(r"(?i)(?:websocket|h2c|h2|tls|connect|http|spdy|irc|rtsp|tcp|unix)(?:/[0-9.]{1,4})?")
_REASONS = (
    # Reasons that may leave the node. Parsers' own messages could quote the bytes, so they do not.
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
class Provenance:
    """The agent, process and ends of an exchange. Wall clock = monotonic + `offset_ns`.

    `tls` is the library, None without TLS; absent ends are unknown. `seen_ns` (monotonic) is the time of an
    exchange without any readable message. Not `timed`: the exchange's times are not its own.
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
    via: wire.Endpoint | None = None
    timed: bool = True


class Redactor:
    """Makes records under one policy; `key` is for fingerprints. The same exchange, provenance, policy and
    key give the same record.

    It remembers frequent values, no secrets, for its lifetime. It belongs to one pipeline and is used by one
    thread at a time.
    """

    def __init__(self, policy: Policy, key: bytes) -> None:
        self._policy = policy
        self._key = key
        self._masker = TextMasker(Names(policy.mask_names, policy.keep_names))
        self._headers = HeaderMemory(self._masker, policy)
        self._media = ContentTypes()
        self._observed_by = lru_cache(maxsize=MAX_CONNECTIONS)(_observed_by)

    def record(
        self, exchange: Exchange, provenance: Provenance, aggregation_headers: tuple[str, ...] = ()
    ) -> wire.Record:
        """The redacted record of `exchange`, grouped by one of `aggregation_headers` (lower case) or the
        policy's. Malformed traffic never raises.
        """
        log = MaskLog()
        groups = self._headers.aggregation_headers(aggregation_headers)
        request, credential = self._request(exchange.request, provenance, log, groups)
        response = self._response(exchange.response, log)
        began = _first_ns(exchange, provenance)
        connection = self._websocket(exchange.websocket, provenance.offset_ns, log)
        return wire.Record(
            id=self._id(
                provenance,
                f"\0{exchange.ordinal}\0{provenance.side}".encode(),
                _captured(provenance.connection, began, request, response),
            ),
            agent=provenance.agent,
            node=provenance.node,
            cluster=provenance.cluster,
            time=began + provenance.offset_ns,
            monotonic=began,
            protocol=protocol_of(exchange),
            tls=provenance.tls,
            side=provenance.side,
            connection=self._observed_by(provenance.agent, provenance.boot_id, provenance.connection)[1],
            stream=exchange.ordinal,
            client=provenance.client,
            server=provenance.server,
            process=provenance.process,
            request=request,
            response=response,
            timing=_timing(exchange, provenance.offset_ns) if provenance.timed else UNTIMED,
            consumer=consumer.hints(exchange, request, groups, self._masker, credential, self._key),
            completeness=exchange.completeness.value,
            upgraded=upgraded_of(exchange.upgraded),
            error=None if exchange.error is None else _reason(exchange.error),
            masks=tuple(log.masks),
            masks_left_out=log.left_out,
            redactions=dict(log.rules),
            grpc=None if exchange.grpc is None else wire.Grpc(*astuple(exchange.grpc)),
            fields_unknown=exchange.fields_unknown,
            via=provenance.via,
            sub_operations=sub_operations.found(request, response),
            websocket=connection,
            absolute=exchange.absolute,
        )

    def _request(
        self, request: Request | None, provenance: Provenance, log: MaskLog, groups: tuple[str, ...]
    ) -> tuple[wire.Request | None, credentials.Credential]:
        if request is None:
            return None, credentials.Credential()
        masker = self._masker
        target = urls.mask_target(request.target, masker, log, connect=request.method == b"CONNECT")
        masks = HeaderMasks(self._headers, log, "", groups)
        headers = masks.masked(request.headers)
        method = method_of(request.method)
        if method == OTHER_METHOD:
            log.rules["method"] += 1
        return wire.Request(
            method=method,
            scheme=target.scheme or scheme_of(request) or ("https" if provenance.tls else "http"),
            authority=_authority(request, target.authority, headers, log),
            path=target.path,
            query=target.query,
            headers=headers,
            trailers=masks.masked(request.trailers),
            body=self._body(request, log, "request.body"),
            content_type=content_type_of(headers),
        ), credentials.find(
            self._headers.unremembered(request.headers), request.target.partition(b"?")[2], masker, self._key
        )

    def _response(self, response: Response | None, log: MaskLog) -> wire.Response | None:
        if response is None:
            return None
        masks = HeaderMasks(self._headers, log, "response.", self._headers.aggregation_headers(()))
        headers = masks.masked(response.headers)
        return wire.Response(
            status=response.status,
            headers=headers,
            trailers=masks.masked(response.trailers),
            body=self._body(response, log, "response.body"),
            content_type=content_type_of(headers),
            interim=response.interim,
        )

    def _body(self, message: Request | Response, log: MaskLog, where: str) -> wire.Body:
        masks = BodyMasks(self._masker, self._policy, self._media, log, where)
        body = masks.masked(message.body, message.headers)
        size = None if body.size is None else min(body.size, MAX_INT)
        return wire.Body(size, body.data, str(body.state), message.body.events)

    def _websocket(self, seen: WebSocketSeen | None, offset_ns: int, log: MaskLog) -> wire.WebSocket | None:
        if seen is None:
            return None
        texts = MaskLog()  # their places are no message's of HTTP
        masks = BodyMasks(self._masker, self._policy, self._media, texts, "websocket")
        found = websocket.shown(seen, offset_ns, masks)
        for rule, count in texts.rules.items():
            log.rules[rule] += count
        return found

    def _id(self, provenance: Provenance, exchange: bytes, captured: bytes) -> str:
        """SHA-256 (hex) over agent, connection and exchange."""
        observed, _ = self._observed_by(provenance.agent, provenance.boot_id, provenance.connection)
        digest = observed.copy()
        digest.update(exchange + captured)
        return digest.digest()[:ID_BYTES].hex()


def protocol_of(exchange: Exchange) -> str:
    """The record's protocol."""
    if exchange.grpc is not None:
        return "grpc"
    message = exchange.request or exchange.response
    return "h1" if message is None else _PROTOCOLS_BY_VERSION.get(message.version, "h1")


def scheme_of(request: Request) -> str | None:
    """The scheme; HTTP/2 sends it. Values other than http and https would be the peer's free text."""
    return {b"http": "http", b"https": "https"}.get(request.scheme or b"")


def _authority(request: Request, target: bytes | None, headers: wire.Pairs, log: MaskLog) -> bytes | None:
    """From the target in absolute form, HTTP/2's :authority, or Host, in this order."""
    if target is None and request.authority is not None:
        return urls.mask_authority(request.authority, log)
    return target if target is not None else first(headers, b"host")


def content_type_of(headers: wire.Pairs) -> str | None:
    """The content type in masked headers."""
    value = first(headers, b"content-type")
    return None if value is None else value.decode("latin-1")[:MAX_TYPE]


def method_of(method: bytes) -> str:
    """The method, unless it is no word."""
    return method.decode() if _METHOD.fullmatch(method) else OTHER_METHOD


def upgraded_of(protocol: bytes | None) -> str | None:
    """The protocol that took over, if it is a known one."""
    if protocol is None:
        return None
    name = protocol.decode("latin-1").split(",")[0].strip()
    return name.lower() if _PROTOCOLS.fullmatch(name) else "other"


def _reason(error: str) -> str:
    lower = error.lower()
    return next((reason for mark, reason in _REASONS if mark in lower), "malformed")


def _first_ns(exchange: Exchange, provenance: Provenance) -> int:
    starts = [message.start_ns for message in (exchange.request, exchange.response) if message]
    return min(starts, default=provenance.seen_ns)


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


def _captured(
    connection: ConnectionKey, began: int, request: wire.Request | None, response: wire.Response | None
) -> bytes:
    """Tells exchanges of different captures apart whose packets have equal addresses, ports, sequence numbers
    and times. It holds nothing but what the record holds, which a hash without a key may show.
    """
    if connection.source != PACKET:
        return b""
    asked = request and (request.method, request.path, request.query, request.body.size)
    answered = response and (response.status, response.body.size)
    return f"\0{began}\0{asked}\0{answered}".encode()


def _observed_by(agent: str, boot_id: str, connection: ConnectionKey) -> tuple[hashlib._Hash, str]:
    """SHA-256 over agent and connection, and its start in hex."""
    parts = (
        agent,
        boot_id,
        connection.source,
        str(connection.address),
        str(connection.pid or 0),  # keeps ids unchanged over versions
        str(connection.generation),
    )
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass"))
    return digest, digest.digest()[:CONNECTION_BYTES].hex()
