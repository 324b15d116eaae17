"""HTTP/2 as exchanges: the two halves' frames, joined by stream (RFC 9113 section 8.1).

A stream's number says which response answers which request, so a hole costs the streams it may have
touched and no others. One HPACK decoder reads each half in order.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from agent.events import Direction
from agent.http.h2.frames import (
    Block,
    Broken,
    Ended,
    FrameFact,
    FrameReader,
    Hole,
    Piece,
    Prefaced,
    Reset,
    TableSize,
)
from agent.http.h2.grpc import Messages, is_grpc
from agent.http.h2.hpack import FieldDecoder, Fields, FieldsError
from agent.http.messages import Body, Completeness, Exchange, Grpc, Headers, Request, Response
from agent.http.payload import Payload
from agent.streams.half import Segment, Why
from agent.streams.sniff import SEARCH_BYTES

MAX_STREAMS = 1024
"""Streams of one connection that are open at once; one more settles the oldest as it is."""

MAX_SETTLED = 4096
"""Settled streams whose numbers are remembered, so that their last frames open nothing anew."""

MAX_INTERIM = 16
SWITCHING = 101
H2C = b"h2c"

VERSION = b"2"
_INTERIM = range(100, 200)


class _Side:
    """One direction of a stream: a request or a response in the making."""

    __slots__ = ("body", "ended_ns", "fields", "last_ns", "messages", "start_ns", "trailers", "unknown")

    def __init__(self, cap: int) -> None:
        self.fields: Fields | None = None
        self.trailers: Headers = ()
        self.body = Payload(cap)
        self.messages: Messages | None = None
        self.start_ns = 0
        self.last_ns = 0  # of its last DATA
        self.ended_ns: int | None = None
        self.unknown = 0

    def settle(self) -> None:
        """A peer that has all of a declared length may go without reading the stream's formal end."""
        if self.ended_ns is not None or self.fields is None or self.body.lost:
            return
        length = dict(self.fields.headers).get(b"content-length", b"")
        if length.isdigit() and len(length) < 20 and int(length) == self.body.size:
            self.ended_ns = self.last_ns or self.start_ns

    @property
    def cut(self) -> Completeness:
        if self.body.lost:
            return Completeness.GAP
        if self.ended_ns is None:
            return Completeness.INCOMPLETE
        return Completeness.COMPLETE if len(self.body.kept) == self.body.size else Completeness.TRUNCATED


class _Stream:
    __slots__ = ("answer", "ask", "gap", "interim", "number", "reset")

    def __init__(self, number: int, cap: int) -> None:
        self.number = number
        self.ask = _Side(cap)
        self.answer = _Side(cap)
        self.interim: tuple[int, ...] = ()
        self.reset = False
        self.gap = False

    @property
    def held(self) -> int:
        return len(self.ask.body.kept) + len(self.answer.body.kept)


@dataclass(slots=True)
class _Half:
    reader: FrameReader
    decoder: FieldDecoder
    asks: bool | None  # whether this half carries the requests; None while nobody knows


class Streams:
    """Those of one connection. `request_direction` is None where a late join leaves it to be found out;
    `whole`: which halves are seen from their first byte.
    """

    def __init__(
        self,
        counts: Counter[str],
        cap: int,
        request_direction: Direction | None,
        whole: Mapping[Direction, bool],
    ) -> None:
        self._cap = cap
        self._streams: OrderedDict[int, _Stream] = OrderedDict()
        self._settled: OrderedDict[int, None] = OrderedDict()
        self._told: list[Exchange] = []
        self._before = 0  # exchanges of this connection that came before HTTP/2
        self._late = not all(whole.values())
        self._halves = {
            direction: _Half(
                FrameReader(
                    counts,
                    preface=whole[direction] and direction is request_direction,
                    synced=whole[direction],
                ),
                FieldDecoder(late=not whole[direction]),
                None if request_direction is None else direction is request_direction,
            )
            for direction in Direction
        }

    @property
    def request_direction(self) -> Direction | None:
        """Which half carries the requests, once known."""
        return next((direction for direction, half in self._halves.items() if half.asks), None)

    @property
    def held(self) -> int:
        """Bytes of memory, roughly."""
        halves, streams = self._halves.values(), self._streams.values()
        return sum(half.reader.held for half in halves) + sum(stream.held for stream in streams)

    @property
    def hopeless(self) -> bool:
        """Whether so much was passed over since the last frame that no more will be found."""
        return any(half.reader.passed > SEARCH_BYTES for half in self._halves.values())

    def upgraded(self, exchange: Exchange) -> None:
        """The connection began as HTTP/1.1: this exchange's request is stream 1, and over (RFC 7540 section
        3.2).
        """
        request = exchange.request
        if request is None:
            return
        self._before = exchange.ordinal
        stream = self._open(1)
        stream.interim = (SWITCHING,)
        pseudo = {b":method": request.method, b":path": request.target}
        stream.ask.fields = Fields(pseudo, request.headers, 0)
        stream.ask.body.add(request.body.data)
        if request.body.size and request.body.size > len(request.body.data):
            stream.ask.body.hole(request.body.size - len(request.body.data), Why.UNCAPTURED)
        stream.ask.start_ns, stream.ask.ended_ns = request.start_ns, request.end_ns or request.start_ns

    def receive(self, half: Direction, segment: Segment) -> None:
        """The next segment of one half."""
        for fact in self._halves[half].reader.read(segment):
            self._take(half, fact)

    def end(self, closed: bool) -> None:
        """The connection, or the watching, ends: settles what is left."""
        for stream in list(self._streams.values()):
            self._settle(stream, closed)

    def take(self) -> list[Exchange]:
        """The exchanges that were settled since the last call."""
        told, self._told = self._told, []
        return told

    def _take(self, half: Direction, fact: FrameFact) -> None:
        if isinstance(fact, Block):
            self._block(half, fact)
        elif isinstance(fact, Prefaced):
            for direction, each in self._halves.items():
                each.decoder, each.asks = FieldDecoder(late=False), direction is half
        elif isinstance(fact, TableSize):
            self._halves[half.opposite].decoder.allow(fact.size)
        elif isinstance(fact, Broken):
            self._broken(half)
        elif isinstance(fact, Piece):
            side = self._side(half, fact.stream)
            if side is not None:
                side.body.add(fact.data)
                side.last_ns = fact.time_ns
                if side.messages is not None:
                    side.messages.feed(fact.data)
        elif isinstance(fact, Hole):
            side = self._side(half, fact.stream)
            if side is not None:
                side.body.hole(fact.length, fact.why)
                side.last_ns = fact.time_ns
                if side.messages is not None and not side.messages.skip(fact.length):
                    side.messages = None
        elif isinstance(fact, Ended):
            self._ended(half, fact.stream, fact.time_ns)
        elif isinstance(fact, Reset):
            stream = self._streams.get(fact.stream)
            if stream is not None:
                stream.reset = True
                self._settle(stream, closed=True)

    def _side(self, half: Direction, number: int) -> _Side | None:
        stream, asks = self._streams.get(number), self._halves[half].asks
        if stream is None or asks is None:
            return None
        return stream.ask if asks else stream.answer

    def _block(self, half: Direction, block: Block) -> None:
        this = self._halves[half]
        try:
            fields = this.decoder.decode(block.block)
        except FieldsError:
            self._undecodable(half, block.stream)
            return
        if this.asks is None:
            self._find_out(half, fields)
        if this.asks is None:
            return
        if block.promised:
            if block.promised not in self._settled:
                pushed = self._open(block.promised)
                pushed.ask.fields, pushed.ask.start_ns, pushed.ask.ended_ns = (
                    fields,
                    block.start_ns,
                    block.end_ns,
                )
            return
        if block.stream in self._settled:
            return
        stream = self._streams.get(block.stream) or self._open(block.stream)
        self._fields(stream, stream.ask if this.asks else stream.answer, fields, block)
        if block.end_stream:
            self._ended(half, block.stream, block.end_ns)

    def _find_out(self, half: Direction, fields: Fields) -> None:
        """Pseudo fields of a request and of a response have no name in common (section 8.3)."""
        if fields.pseudo:
            asks = b":status" not in fields.pseudo
            self._halves[half].asks, self._halves[half.opposite].asks = asks, not asks

    def _fields(self, stream: _Stream, side: _Side, fields: Fields, block: Block) -> None:
        side.unknown += fields.unknown
        if side.fields is not None:
            side.trailers = fields.headers
            return
        side.start_ns = block.start_ns
        status = fields.pseudo.get(b":status", b"")
        if side is stream.answer and status.isdigit() and int(status) in _INTERIM and not block.end_stream:
            if len(stream.interim) < MAX_INTERIM:
                stream.interim += (int(status),)
            return
        side.fields = fields
        if is_grpc(fields.headers):
            side.messages = Messages()

    def _ended(self, half: Direction, number: int, time_ns: int) -> None:
        side, stream = self._side(half, number), self._streams.get(number)
        if side is None or stream is None:
            return
        side.ended_ns = time_ns
        if stream.answer.ended_ns is not None and (
            stream.ask.ended_ns is not None or stream.ask.fields is None
        ):
            self._settle(stream, closed=True)

    def _undecodable(self, half: Direction, number: int) -> None:
        """Frames go on, but what the table holds is unknown, and so is what this block said."""
        self._halves[half].decoder = FieldDecoder(late=True)
        stream = self._streams.get(number)
        if stream is not None:
            stream.gap = True
            self._settle(stream, closed=False)

    def _broken(self, half: Direction) -> None:
        """Frames of this half are missing: each stream it had not finished has lost an unknown part."""
        this = self._halves[half]
        this.decoder = FieldDecoder(late=True)
        if this.asks is None:
            return
        for stream in list(self._streams.values()):
            side = stream.ask if this.asks else stream.answer
            if side.ended_ns is not None:
                continue
            stream.gap = True
            if side.fields is not None:
                side.body.hole(0, Why.LOST)
                self._settle(stream, closed=False)

    def _open(self, number: int) -> _Stream:
        if len(self._streams) >= MAX_STREAMS:
            self._settle(next(iter(self._streams.values())), closed=False)
        stream = self._streams[number] = _Stream(number, self._cap)
        return stream

    def _settle(self, stream: _Stream, closed: bool) -> None:
        self._streams.pop(stream.number, None)
        self._settled[stream.number] = None
        if len(self._settled) > MAX_SETTLED:
            self._settled.popitem(last=False)
        stream.ask.settle()
        stream.answer.settle()
        request, response = _request(stream.ask), _response(stream)
        if request is None and response is None:
            return
        self._told.append(
            Exchange(
                self._before + stream.number,
                request,
                response,
                self._completeness(stream, request, response, closed),
                _upgraded(stream, response),
                None,
                _grpc(stream, response),
                stream.ask.unknown + stream.answer.unknown,
            )
        )

    def _completeness(
        self, stream: _Stream, request: Request | None, response: Response | None, closed: bool
    ) -> Completeness:
        if request is None:
            return Completeness.LATE_JOIN if self._late and not stream.gap else Completeness.GAP
        if response is None:
            return Completeness.NO_RESPONSE if closed and not stream.gap else Completeness.GAP
        cuts = {stream.ask.cut, stream.answer.cut}
        if stream.gap or Completeness.GAP in cuts:
            return Completeness.GAP
        if stream.answer.cut is Completeness.INCOMPLETE or (
            stream.ask.cut is Completeness.INCOMPLETE and not stream.reset
        ):
            return Completeness.INCOMPLETE if closed else Completeness.GAP
        return Completeness.TRUNCATED if Completeness.TRUNCATED in cuts else Completeness.COMPLETE


def _body(side: _Side) -> Body:
    return side.body.body(
        size_known=not side.body.lost or side.ended_ns is not None, whole=side.ended_ns is not None
    )


def _request(side: _Side) -> Request | None:
    """The request; None where it was not seen, or what makes it one stayed unknown."""
    fields = side.fields
    if fields is None:
        return None
    method, authority = fields.pseudo.get(b":method"), fields.pseudo.get(b":authority")
    target = authority if method == b"CONNECT" else fields.pseudo.get(b":path")
    if method is None or target is None:
        return None
    return Request(
        method,
        target,
        VERSION,
        fields.headers,
        side.trailers,
        _body(side),
        side.start_ns,
        side.ended_ns,
        authority,
        fields.pseudo.get(b":scheme"),
    )


def _response(stream: _Stream) -> Response | None:
    side, fields = stream.answer, stream.answer.fields
    status = fields.pseudo.get(b":status", b"") if fields else b""
    if fields is None or len(status) != 3 or not status.isdigit():
        return None
    return Response(
        int(status),
        VERSION,
        fields.headers,
        side.trailers,
        _body(side),
        side.start_ns,
        side.ended_ns,
        stream.interim,
    )


def _upgraded(stream: _Stream, response: Response | None) -> bytes | None:
    """What a CONNECT, plain or extended (RFC 8441), turned the stream into, or an Upgrade the connection."""
    fields = stream.ask.fields
    if SWITCHING in stream.interim:
        return H2C
    if fields is None or response is None or fields.pseudo.get(b":method") != b"CONNECT":
        return None
    return fields.pseudo.get(b":protocol", b"CONNECT") if 200 <= response.status < 300 else None


def _grpc(stream: _Stream, response: Response | None) -> Grpc | None:
    if stream.ask.fields is None or not is_grpc(stream.ask.fields.headers):
        return None
    fields = () if response is None else (*response.trailers, *response.headers)
    status = next((value for name, value in fields if name == b"grpc-status"), b"")
    asked, answered = stream.ask.messages, stream.answer.messages
    return Grpc(
        int(status) if status.isdigit() and len(status) < 4 else None,
        None if asked is None else asked.count,
        None if answered is None else answered.count,
    )
