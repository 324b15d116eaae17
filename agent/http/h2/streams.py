"""HTTP/2 as exchanges: the two halves' frames, joined by stream (RFC 9113 section 8.1).

| stream   | Block                 | Piece, DataGap | Ended          | Reset    | FramesLost, bad block  |
|----------|-----------------------|----------------|----------------|----------|------------------------|
| unknown  | open                  |                |                |          |                        |
| open     | interim response,     | of its body    | if both are    | finished | a gap; if a message of |
|          | fields, then trailers |                | over: finished |          | this half had begun:   |
|          |                       |                |                |          | finished               |
| finished | skipped               |                |                |          |                        |

The connection's end finishes open streams; one stream too many finishes the oldest. A stream's number pairs
response and request, so a gap affects only the streams it may have touched. One HPACK decoder per half reads
its blocks in order.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from agent.events import Direction
from agent.http.h2.facts import (
    Block,
    DataGap,
    Ended,
    FrameFact,
    FramesLost,
    Piece,
    Prefaced,
    Reset,
    TableSize,
)
from agent.http.h2.frames import FrameReader
from agent.http.h2.hpack import FieldDecoder, Fields, FieldsError
from agent.http.h2.stream import (
    SWITCHING,
    MessageDraft,
    Stream,
    completeness,
    grpc_of,
    request_of,
    response_of,
    upgraded,
    websocket_of,
)
from agent.http.messages import Exchange, Request
from agent.streams.half import GapReason, Segment
from agent.streams.sniff import SEARCH_BYTES

MAX_STREAMS = 1024
"""Open streams of one connection; one more finishes the oldest."""

MAX_SETTLED = 4096
"""Finished streams whose numbers are remembered, so that their last frames open no new stream."""


@dataclass(slots=True)
class _Half:
    reader: FrameReader
    decoder: FieldDecoder
    asks: bool | None  # whether this half carries the requests; None while unknown


class Streams:
    """The streams of one connection. `request_direction` is None if unknown after a late join; `whole`: the
    halves captured from their first byte.
    """

    def __init__(
        self,
        counts: Counter[str],
        cap: int,
        request_direction: Direction | None,
        whole: Mapping[Direction, bool],
        text_cap: int = 0,
    ) -> None:
        self._cap, self._text_cap = cap, text_cap
        self._streams: OrderedDict[int, Stream] = OrderedDict()
        self._settled: OrderedDict[int, None] = OrderedDict()
        self._exchanges: list[Exchange] = []
        self._before = 0  # exchanges of this connection before HTTP/2
        self._absolute = True  # none of those passed unseen
        self._late = not all(whole.values())
        self._halves = {
            direction: _Half(
                FrameReader(counts, preface=seen and direction is request_direction, synced=seen),
                FieldDecoder(late=not seen),
                None if request_direction is None else direction is request_direction,
            )
            for direction, seen in whole.items()
        }

    @property
    def request_direction(self) -> Direction | None:
        """The half that carries the requests, once known."""
        return next((direction for direction, half in self._halves.items() if half.asks), None)

    @property
    def held(self) -> int:
        """Bytes of memory, roughly."""
        halves, streams = self._halves.values(), self._streams.values()
        return sum(half.reader.held for half in halves) + sum(stream.held for stream in streams)

    @property
    def hopeless(self) -> bool:
        """Whether so much was skipped since the last frame that no more will be found."""
        return any(half.reader.passed > SEARCH_BYTES for half in self._halves.values())

    def upgraded(self, exchange: Exchange) -> None:
        """Starts from HTTP/1.1: this exchange's request is stream 1, and complete (RFC 7540 section 3.2)."""
        if exchange.request is not None:
            self._before, self._absolute = exchange.ordinal, exchange.absolute
            stream = self._open(1)
            stream.interim = (SWITCHING,)
            _put(exchange.request, stream.request)

    def receive(self, half: Direction, segment: Segment) -> None:
        """Takes the next segment of one half."""
        for fact in self._halves[half].reader.read(segment):
            self._handle(half, fact)

    def end(self, closed: bool) -> None:
        """Finishes all streams: the connection, or the capture, has ended."""
        for stream in list(self._streams.values()):
            self._finish(stream, closed)

    def drain(self) -> list[Exchange]:
        """Removes and returns the exchanges finished since the last call."""
        exchanges, self._exchanges = self._exchanges, []
        return exchanges

    def _handle(self, half: Direction, fact: FrameFact) -> None:
        match fact:
            case Block():
                self._block(half, fact)
            case Piece():
                self._piece(half, fact)
            case Ended():
                self._ended(half, fact.stream, fact.time_ns)
            case DataGap():
                self._gap(half, fact)
            case Reset():
                self._reset(fact)
            case TableSize():
                self._halves[half.opposite].decoder.allow(fact.size)
            case FramesLost():
                self._frames_lost(half)
            case Prefaced():
                self._prefaced(half)

    def _message(self, half: Direction, number: int) -> MessageDraft | None:
        """The message that a stream carries in this half, once the half's role is known."""
        stream, asks = self._streams.get(number), self._halves[half].asks
        if stream is None or asks is None:
            return None
        return stream.request if asks else stream.response

    def _block(self, half: Direction, block: Block) -> None:
        this = self._halves[half]
        try:
            fields = this.decoder.decode(block.block)
        except FieldsError:
            self._undecodable(half, block.stream)
            return
        if this.asks is None:
            self._find_direction(half, fields)
        if this.asks is None:
            return
        if block.promised is not None:
            self._promised(block.promised, fields, block)
        elif block.stream not in self._settled:
            stream = self._streams.get(block.stream) or self._open(block.stream)
            message = stream.request if this.asks else stream.response
            stream.block(message, fields, block.start_ns, block.end_stream)
            if block.end_stream:
                self._ended(half, block.stream, block.end_ns)

    def _find_direction(self, half: Direction, fields: Fields) -> None:
        """Finds the request direction: pseudo fields of requests and responses have no name in common
        (section 8.3).
        """
        if fields.pseudo:
            asks = b":status" not in fields.pseudo
            self._halves[half].asks, self._halves[half.opposite].asks = asks, not asks

    def _promised(self, number: int, fields: Fields, block: Block) -> None:
        if number not in self._settled:
            message = self._open(number).request
            message.fields, message.start_ns, message.ended_ns = fields, block.start_ns, block.end_ns

    def _piece(self, half: Direction, piece: Piece) -> None:
        message = self._message(half, piece.stream)
        if message is not None:
            message.piece(piece.data, piece.time_ns)

    def _gap(self, half: Direction, gap: DataGap) -> None:
        message = self._message(half, gap.stream)
        if message is not None:
            message.skip(gap.length, gap.why, gap.time_ns)

    def _ended(self, half: Direction, number: int, time_ns: int) -> None:
        message, stream = self._message(half, number), self._streams.get(number)
        if message is not None and stream is not None:
            message.ended_ns = time_ns
            if stream.over:
                self._finish(stream, closed=True)

    def _reset(self, reset: Reset) -> None:
        stream = self._streams.get(reset.stream)
        if stream is not None:
            stream.reset = True
            self._finish(stream, closed=True)

    def _undecodable(self, half: Direction, number: int) -> None:
        """Handles a block that cannot be decoded: framing continues, but the table and this block are
        unknown.
        """
        self._halves[half].decoder = FieldDecoder(late=True)
        stream = self._streams.get(number)
        if stream is not None:
            stream.gap = True
            self._finish(stream, closed=False)

    def _frames_lost(self, half: Direction) -> None:
        """Marks each stream that this half has not ended: an unknown part is missing."""
        this = self._halves[half]
        this.decoder = FieldDecoder(late=True)
        if this.asks is None:
            return
        for stream in list(self._streams.values()):
            message = stream.request if this.asks else stream.response
            if message.ended_ns is not None:
                continue
            stream.gap = True
            if message.fields is not None:
                message.body.skip(0, GapReason.LOST)
                self._finish(stream, closed=False)

    def _prefaced(self, half: Direction) -> None:
        for direction, each in self._halves.items():
            each.decoder, each.asks = FieldDecoder(late=False), direction is half

    def _open(self, number: int) -> Stream:
        if len(self._streams) >= MAX_STREAMS:
            self._finish(next(iter(self._streams.values())), closed=False)
        stream = self._streams[number] = Stream(number, self._cap, self._text_cap)
        return stream

    def _finish(self, stream: Stream, closed: bool) -> None:
        self._streams.pop(stream.number, None)
        self._settled[stream.number] = None
        if len(self._settled) > MAX_SETTLED:
            self._settled.popitem(last=False)
        stream.request.close()
        stream.response.close()
        request, response = request_of(stream), response_of(stream)
        if request is None and response is None:
            return
        self._exchanges.append(
            Exchange(
                ordinal=self._before + stream.number,
                request=request,
                response=response,
                completeness=completeness(stream, request, response, self._late, closed),
                upgraded=upgraded(stream, response),
                grpc=grpc_of(stream, response),
                fields_unknown=stream.request.unknown + stream.response.unknown,
                websocket=websocket_of(stream, closed),
                absolute=self._absolute,
            )
        )


def _put(request: Request, message: MessageDraft) -> None:
    """Adds a complete HTTP/1.1 request as a stream's."""
    message.fields = Fields({b":method": request.method, b":path": request.target}, request.headers, 0)
    message.body.add(request.body.data)
    if request.body.size and request.body.size > len(request.body.data):
        message.body.skip(request.body.size - len(request.body.data), GapReason.UNCAPTURED)
    message.start_ns = request.start_ns
    message.ended_ns = request.start_ns if request.end_ns is None else request.end_ns
