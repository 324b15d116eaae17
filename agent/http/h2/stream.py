"""One stream: an incomplete request and response, and the exchange they become."""

from __future__ import annotations

from agent.http.event_counter import EventCounter, is_event_stream
from agent.http.h2.grpc import MessageCounter, is_grpc
from agent.http.h2.hpack import Fields
from agent.http.messages import (
    EMPTY_BODY,
    Body,
    Completeness,
    Grpc,
    Headers,
    Request,
    Response,
    WebSocketSeen,
)
from agent.http.payload import BodyAccumulator
from agent.http.ws.frames import WebSocketReader
from agent.http.ws.summary import is_extended, summary
from agent.streams.half import GapReason

MAX_INTERIM = 16
SWITCHING = 101
H2C = b"h2c"
WEBSOCKET = b"websocket"

VERSION = b"2"
_INTERIM = range(100, 200)


class MessageDraft:
    """One direction of a stream. Blocks before `fields` are interim responses."""

    __slots__ = (
        "body",
        "ended_ns",
        "fields",
        "frames",
        "last_ns",
        "messages",
        "start_ns",
        "trailers",
        "unknown",
    )

    def __init__(self, cap: int) -> None:
        self.fields: Fields | None = None
        self.trailers: Headers = ()
        self.body = BodyAccumulator(cap)
        self.messages: MessageCounter | None = None
        self.frames: WebSocketReader | None = None  # of WebSocket, instead of a body
        self.start_ns = 0  # of the block with `fields`
        self.last_ns: int | None = None  # of the last DATA
        self.ended_ns: int | None = None
        self.unknown = 0

    def begin(self, fields: Fields, start_ns: int) -> None:
        """Sets the message's fields, other than an interim response's."""
        self.fields, self.start_ns = fields, start_ns
        if is_grpc(fields.headers):
            self.messages = MessageCounter()
        elif is_event_stream(fields.headers):
            self.body.events = EventCounter()

    def piece(self, data: bytes, time_ns: int) -> None:
        """Adds the next bytes of the body."""
        self.last_ns = time_ns
        if self.frames is not None:
            self.frames.feed(data, time_ns)
            return
        self.body.add(data)
        if self.messages is not None:
            self.messages.feed(data)

    def skip(self, length: int, why: GapReason, time_ns: int) -> None:
        """Records that the next bytes of the body are missing."""
        self.last_ns = time_ns
        if self.frames is not None:
            self.frames.skip(length, time_ns)
            return
        self.body.skip(length, why)
        if self.messages is not None and not self.messages.skip(length):
            self.messages = None

    def close(self) -> None:
        """Handles the connection's end: a body of its declared length is complete without END_STREAM."""
        if self.ended_ns is not None or self.fields is None or self.body.lost:
            return
        length = dict(self.fields.headers).get(b"content-length", b"")
        if length.isdigit() and len(length) < 20 and int(length) == self.body.size:
            self.ended_ns = self.start_ns if self.last_ns is None else self.last_ns

    @property
    def cut(self) -> Completeness:
        """How much of the message was seen."""
        if self.body.lost:
            return Completeness.GAP
        if self.ended_ns is None:
            return Completeness.INCOMPLETE
        return Completeness.COMPLETE if len(self.body.kept) == self.body.size else Completeness.TRUNCATED

    def kept_body(self) -> Body:
        """The captured part of the body."""
        if self.frames is not None:
            return EMPTY_BODY
        ended = self.ended_ns is not None
        return self.body.body(size_known=ended or not self.body.lost, whole=ended)


class Stream:
    """Both directions. `gap`: a part of unknown size is missing."""

    __slots__ = ("_text_cap", "gap", "interim", "number", "request", "reset", "response")

    def __init__(self, number: int, cap: int, text_cap: int = 0) -> None:
        self.number = number
        self._text_cap = text_cap
        self.request = MessageDraft(cap)
        self.response = MessageDraft(cap)
        self.interim: tuple[int, ...] = ()
        self.reset = False
        self.gap = False

    @property
    def held(self) -> int:
        """Bytes of memory."""
        messages = (self.request, self.response)
        return sum(
            len(message.body.kept) + (0 if message.frames is None else message.frames.held)
            for message in messages
        )

    @property
    def over(self) -> bool:
        """Whether the exchange is complete."""
        request = self.request
        return self.response.ended_ns is not None and (request.ended_ns is not None or request.fields is None)

    def block(self, message: MessageDraft, fields: Fields, start_ns: int, ends: bool) -> None:
        """Adds the next header block of a message: interim responses, then its fields, then its trailers."""
        message.unknown += fields.unknown
        if message.fields is not None:
            message.trailers = fields.headers
            return
        status = status_of(fields) if message is self.response and not ends else None
        if status is None or status not in _INTERIM:
            message.begin(fields, start_ns)
            self._begin_frames(message, fields)
        elif len(self.interim) < MAX_INTERIM:
            self.interim += (status,)

    def _begin_frames(self, message: MessageDraft, fields: Fields) -> None:
        """Reads frames from here on, if the stream is a WebSocket connection (RFC 8441)."""
        request = self.request
        if message is request and fields.pseudo.get(b":protocol", b"").lower() == WEBSOCKET:
            message.frames = WebSocketReader(True, is_extended(fields.headers), self._text_cap)
        elif message is self.response and request.frames is not None and (status_of(fields) or 0) // 100 == 2:
            message.frames = WebSocketReader(False, is_extended(fields.headers), self._text_cap)


def status_of(fields: Fields) -> int | None:
    """The response's status; None if missing or not of three digits (RFC 9110 section 15)."""
    status = fields.pseudo.get(b":status", b"")
    return int(status) if len(status) == 3 and status.isdigit() else None


def request_of(stream: Stream) -> Request | None:
    """The request; None if it was not seen, or its pseudo fields are unknown."""
    message, fields = stream.request, stream.request.fields
    if fields is None:
        return None
    method, authority = fields.pseudo.get(b":method"), fields.pseudo.get(b":authority")
    target = authority if method == b"CONNECT" else fields.pseudo.get(b":path")
    if method is None or target is None:
        return None
    return Request(
        method=method,
        target=target,
        version=VERSION,
        headers=fields.headers,
        trailers=message.trailers,
        body=message.kept_body(),
        start_ns=message.start_ns,
        end_ns=message.ended_ns,
        authority=authority,
        scheme=fields.pseudo.get(b":scheme"),
    )


def response_of(stream: Stream) -> Response | None:
    """The response; None if it was not seen."""
    message, fields = stream.response, stream.response.fields
    status = None if fields is None else status_of(fields)
    if fields is None or status is None:
        return None
    return Response(
        status=status,
        version=VERSION,
        headers=fields.headers,
        trailers=message.trailers,
        body=message.kept_body(),
        start_ns=message.start_ns,
        end_ns=message.ended_ns,
        interim=stream.interim,
    )


def completeness(
    stream: Stream, request: Request | None, response: Response | None, late: bool, closed: bool
) -> Completeness:
    """How much of the exchange was seen. `late`: streams may be older than the capture; `closed`: the stream
    or the connection is over.
    """
    if request is None:
        return Completeness.LATE_JOIN if late and not stream.gap else Completeness.GAP
    if response is None:
        return Completeness.NO_RESPONSE if closed and not stream.gap else Completeness.GAP
    asked, answered = stream.request.cut, stream.response.cut
    if stream.gap or Completeness.GAP in (asked, answered):
        return Completeness.GAP
    unfinished = asked is Completeness.INCOMPLETE and not stream.reset
    if answered is Completeness.INCOMPLETE or unfinished:
        return Completeness.INCOMPLETE if closed else Completeness.GAP
    truncated = Completeness.TRUNCATED in (asked, answered)
    return Completeness.TRUNCATED if truncated else Completeness.COMPLETE


def upgraded(stream: Stream, response: Response | None) -> bytes | None:
    """The protocol to which a CONNECT, plain or extended (RFC 8441), switched the stream, or an Upgrade the
    connection.
    """
    fields = stream.request.fields
    if SWITCHING in stream.interim:
        return H2C
    if fields is None or response is None or fields.pseudo.get(b":method") != b"CONNECT":
        return None
    return fields.pseudo.get(b":protocol", b"CONNECT") if 200 <= response.status < 300 else None


def websocket_of(stream: Stream, closed: bool) -> WebSocketSeen | None:
    """The WebSocket connection that the stream became, if it did."""
    client, server = stream.request.frames, stream.response.frames
    return None if client is None or server is None else summary(client, server, closed)


def grpc_of(stream: Stream, response: Response | None) -> Grpc | None:
    """The gRPC part; None if the request is not gRPC."""
    if stream.request.fields is None or not is_grpc(stream.request.fields.headers):
        return None
    fields = () if response is None else (*response.trailers, *response.headers)
    status = next((value for name, value in fields if name == b"grpc-status"), b"")
    asked, answered = stream.request.messages, stream.response.messages
    return Grpc(
        status=int(status) if status.isdigit() and len(status) < 4 else None,
        request_messages=None if asked is None else asked.count,
        response_messages=None if answered is None else answered.count,
        request_bytes=None if asked is None else asked.bytes,
        response_bytes=None if answered is None else answered.bytes,
        request_largest=None if asked is None else asked.largest,
        response_largest=None if answered is None else answered.largest,
    )
