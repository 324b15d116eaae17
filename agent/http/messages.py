"""HTTP as facts: the parsers' output, before identity and redaction.

Header names and values, methods and targets are raw bytes in wire order (h11 lower-cases names). Times
are the events' monotonic nanoseconds. Absent is None.
"""

from __future__ import annotations

from enum import StrEnum

from agent.events import Role
from agent.frozen import dataclass

Headers = tuple[tuple[bytes, bytes], ...]


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first value of `name` (lower case)."""
    for found, value in headers:
        if found == name:
            return value
    return None


def is_bodiless(method: bytes | None, status: int) -> bool:
    """Whether no response with this status, to this method, has a body (RFC 9112, 6.3); CONNECT aside."""
    return method == b"HEAD" or status in (204, 304) or status < 200


class BodyState(StrEnum):
    """How much of a body was captured. `size` is exact except for GAP with lost framing."""

    COMPLETE = "complete"  # all of it is kept; so is an empty body
    TRUNCATED = "truncated"  # a prefix is kept: the cap was reached
    GAP = "gap"  # bytes are missing; the prefix before the gap is kept
    UNSEEN = "unseen"  # it passed, but no byte was captured (sendfile, a gap at its start)
    UNDECODABLE = "undecodable"  # the content coding is invalid or unknown; the decoded prefix is kept


class Completeness(StrEnum):
    """How much of an exchange was seen."""

    COMPLETE = "complete"
    TRUNCATED = "truncated"  # a body was cut at the cap; everything else is complete
    GAP = "gap"  # bytes are missing
    LATE_JOIN = "late-join"  # the request passed before capture started
    NO_RESPONSE = "no-response"  # the connection ended first
    INCOMPLETE = "incomplete"  # the connection ended within a message
    MALFORMED = "malformed"  # not parsable as HTTP; `error` says why


@dataclass(frozen=True, slots=True)
class Body:
    """A message's payload after transfer coding, before content coding.

    `size` counts every payload byte that passed, kept or not; None if the framing was lost. `coded` is false
    if the reporter has already undone the content coding that the headers name. `events` counts the
    server-sent events of an event stream, kept or not; None if it is none, is coded, or bytes are missing.
    """

    size: int | None
    data: bytes
    state: BodyState
    coded: bool = True
    events: int | None = None


EMPTY_BODY = Body(0, b"", BodyState.COMPLETE)


@dataclass(frozen=True, slots=True)
class Request:
    method: bytes
    target: bytes
    version: bytes  # b"1.1"
    headers: Headers
    trailers: Headers
    body: Body
    start_ns: int  # time of the chunk that holds the first byte
    end_ns: int | None  # time of the chunk that holds the last byte
    authority: bytes | None = None  # HTTP/2's :authority
    scheme: bytes | None = None  # HTTP/2's :scheme


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    version: bytes
    headers: Headers
    trailers: Headers
    body: Body
    start_ns: int
    end_ns: int | None
    interim: tuple[int, ...] = ()  # earlier 1xx statuses


@dataclass(frozen=True, slots=True)
class Grpc:
    """The gRPC part of an exchange: its status, and the messages of each direction: how many, bytes of all
    and of the largest, as sent; None if bytes are missing.
    """

    status: int | None
    request_messages: int | None
    response_messages: int | None
    request_bytes: int | None = None
    response_bytes: int | None = None
    request_largest: int | None = None
    response_largest: int | None = None


@dataclass(frozen=True, slots=True)
class WebSocketCounts:
    """What one end of a WebSocket connection sent: whole frames of any kind, text and binary messages, Ping
    and Pong frames, messages that were compressed, bytes of payload. `unseen` bytes were lost or not readable
    as frames: what they held is in no other count.
    """

    frames: int
    text: int
    binary: int
    pings: int
    pongs: int
    compressed: int
    bytes: int
    unseen: int


@dataclass(frozen=True, slots=True)
class WebSocketMessage:
    """A text message that looks like JSON, and which end sent it."""

    sender: Role
    data: bytes
    time_ns: int


@dataclass(frozen=True, slots=True)
class WebSocketSeen:
    """A connection after its upgrade to WebSocket (RFC 6455).

    `close_code` is that of the first Close frame, which `closed_by` sent: 1005 if it has none, 1006 if the
    connection ended without one (section 7.1.5), None if that is not known: it was still open, or bytes are
    unseen. `end_ns` is the time of the last frame.
    """

    client: WebSocketCounts
    server: WebSocketCounts
    close_code: int | None
    closed_by: Role | None
    end_ns: int | None
    texts: tuple[WebSocketMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called, as authenticated by a server. `user` is None if the server rejected the caller; `acting_as`
    is the user impersonated; `facts` hold no name.
    """

    user: str | None
    acting_as: str | None
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its response, as captured at one end of one connection.

    `ordinal` counts exchanges of the connection from 0; in HTTP/2 it is the stream's number. It is `absolute`
    if both ends of the connection count alike: no exchange before it can have passed unseen. `upgraded` names
    the protocol that took over the connection (Upgrade's value, or b"CONNECT"). `error` is the parser's
    reason if MALFORMED.
    """

    ordinal: int
    request: Request | None
    response: Response | None
    completeness: Completeness
    upgraded: bytes | None = None
    error: str | None = None
    grpc: Grpc | None = None
    fields_unknown: int = 0  # HPACK entries older than the capture; 1 if no headers are reported
    caller: Caller | None = None
    websocket: WebSocketSeen | None = None
    absolute: bool = False
