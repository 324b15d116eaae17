"""One half of an HTTP/2 connection as frames (RFC 9113 section 4), passively.

| state   | bytes                                                             | gap                      |
|---------|-------------------------------------------------------------------|--------------------------|
| PREFACE | the client's preface: FRAME; anything else: SEARCH                | SEARCH                   |
| FRAME   | DATA: PAYLOAD; a block that goes on: BLOCK; another frame: FRAME; | SEARCH                   |
|         | none that the RFC allows: SEARCH                                  |                          |
| PAYLOAD | reported in pieces, never held; the last byte: FRAME              | reported; beyond: SEARCH |
| BLOCK   | CONTINUATION: BLOCK, or FRAME at its end; another frame: SEARCH   | SEARCH                   |
| SEARCH  | a segment that starts with the preface or a chain of frames, as   | SEARCH                   |
|         | each type allows: FRAME                                           |                          |

Each change to SEARCH loses the framing and, with it, HPACK's state: `FramesLost`.
"""

from __future__ import annotations

from collections import Counter

from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    ContinuationFrame,
    Frame,
    HeadersFrame,
    PushPromiseFrame,
    RstStreamFrame,
    SettingsFrame,
)

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
from agent.ledger import Bytes
from agent.streams.half import Data, Gap, Segment

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER = 9
MAX_FRAME = 1 << 20
"""Bytes of a frame other than DATA, which is buffered; after a larger one the half is unreadable."""

MAX_BLOCK = 256 * 1024
"""A header block over all its frames."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
PADDED, END_STREAM, END_HEADERS = 0x8, 0x1, 0x4

_FLAGS = {DATA: 0x9, HEADERS: 0x2D, SETTINGS: 0x1, PUSH_PROMISE: 0xC, PING: 0x1, CONTINUATION: 0x4}
_LENGTHS = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}
_ON_CONNECTION = frozenset({SETTINGS, PING, GOAWAY})
_DEFAULT_FRAME = 16_384


def plausible(data: bytes) -> bool:
    """Whether all of `data` is a chain of frames, each valid for its type."""
    at, found = 0, 0
    while len(data) - at >= HEADER:
        length, kind, flags, stream = _header(data, at)
        if not _allowed(length, kind, flags, stream):
            return False
        at += HEADER + length
        found += 1
    return found > 0


def carries_headers(data: bytes) -> bool:
    """Whether a plausible chain of frames contains HEADERS of a client's stream."""
    at = 0
    while len(data) - at > HEADER:
        length, kind, _, stream = _header(data, at)
        if kind == HEADERS and stream % 2:
            return True
        at += HEADER + length
    return False


def _header(data: bytes | bytearray, at: int) -> tuple[int, int, int, int]:
    return (
        int.from_bytes(data[at : at + 3], "big"),
        data[at + 3],
        data[at + 4],
        int.from_bytes(data[at + 5 : at + 9], "big"),
    )


def _allowed(length: int, kind: int, flags: int, stream: int) -> bool:
    if kind > CONTINUATION or stream >> 31 or length > _DEFAULT_FRAME or flags & ~_FLAGS.get(kind, 0):
        return False
    if (stream == 0) != (kind in _ON_CONNECTION) and kind != WINDOW_UPDATE:
        return False
    if kind == SETTINGS:
        return length % 6 == 0 and not (flags and length)
    return length == _LENGTHS.get(kind, length)


class _PassingData:
    """The DATA frame being read."""

    __slots__ = ("ends", "left", "padding", "stream")

    def __init__(self, stream: int, left: int, padding: int, ends: bool) -> None:
        self.stream = stream
        self.left = left  # with padding, which is last
        self.padding = padding
        self.ends = ends  # END_STREAM

    def consume(self, length: int) -> tuple[int, int]:
        """How many of the next `length` bytes belong to this frame, and how many of those are not padding."""
        inside = min(length, self.left)
        content = min(inside, max(0, self.left - self.padding))
        self.left -= inside
        return inside, content


class _OpenBlock:
    """A header block being assembled."""

    __slots__ = ("data", "end_stream", "promised", "start_ns", "stream")

    def __init__(self, stream: int, end_stream: bool, start_ns: int, promised: int | None) -> None:
        self.stream = stream
        self.end_stream = end_stream
        self.start_ns = start_ns
        self.promised = promised
        self.data = bytearray()


class FrameReader:
    """Segments in, facts out. `preface`: the half begins with the client's; `synced`: a frame starts here."""

    def __init__(self, counts: Counter[str], preface: bool, synced: bool) -> None:
        self._counts = counts
        self._buffer = bytearray()  # an incomplete frame (or preface)
        self._preface = preface
        self._synced = synced
        self._time_ns = 0
        self._start_ns = 0
        self._payload: _PassingData | None = None
        self._block: _OpenBlock | None = None
        self._facts: list[FrameFact] = []
        self.passed = 0

    @property
    def held(self) -> int:
        """Bytes of memory."""
        return len(self._buffer) + (0 if self._block is None else len(self._block.data))

    def read(self, segment: Segment) -> list[FrameFact]:
        """The facts in the next segment."""
        self._time_ns = segment.time_ns
        if isinstance(segment, Gap):
            self._gap(segment)
        elif self._synced or self._found(segment):
            self._count(Bytes.PARSED, len(segment.data))
            self._bytes(segment.data)
        facts, self._facts = self._facts, []
        return facts

    def _found(self, segment: Data) -> bool:
        if segment.data.startswith(PREFACE):
            self._synced = self._preface = True
            self._facts.append(Prefaced())
            return True
        if plausible(segment.data):
            self._synced = True
            self.passed = 0
            return True
        self.passed += len(segment.data)
        self._count(Bytes.UNSYNCED, len(segment.data))
        return False

    def _bytes(self, data: bytes) -> None:
        at, size = 0, len(data)
        while at < size and self._synced:
            if self._payload is not None:
                at = self._pass(self._payload, data, at)
                continue
            if not self._buffer:
                self._start_ns = self._time_ns
            wanted = self._wanted()
            take = min(wanted - len(self._buffer), size - at)
            self._buffer += data[at : at + take]
            at += take
            if len(self._buffer) == wanted:
                self._complete()

    def _wanted(self) -> int:
        """How long the buffer must be to be read further."""
        if self._preface:
            return len(PREFACE)
        if len(self._buffer) < HEADER:
            return HEADER
        length, kind, flags, _ = _header(self._buffer, 0)
        if kind == DATA:
            return HEADER + (1 if flags & PADDED else 0)
        return HEADER + length

    def _complete(self) -> None:
        if self._preface:
            self._preface = False
            if self._buffer != PREFACE:
                self._lose_frames()
            self._buffer.clear()
            return
        if len(self._buffer) < self._wanted():
            return  # only the header so far
        length, kind, flags, stream = _header(self._buffer, 0)
        if length > MAX_FRAME and kind != DATA:
            self._lose_frames()
        elif kind == DATA:
            self._data(length, flags, stream & 0x7FFFFFFF)
        else:
            self._frame(bytes(self._buffer))
        self._buffer.clear()

    def _data(self, length: int, flags: int, stream: int) -> None:
        padded = bool(flags & PADDED)
        padding, left = self._buffer[HEADER] if padded else 0, length - padded
        if not stream or self._block is not None or padding > left or left < 0:
            self._lose_frames()
            return
        self._payload = payload = _PassingData(stream, left, padding, bool(flags & END_STREAM))
        if not left:
            self._passed(payload)

    def _pass(self, payload: _PassingData, data: bytes, at: int) -> int:
        inside, content = payload.consume(len(data) - at)
        if content:
            self._facts.append(Piece(payload.stream, data[at : at + content], self._time_ns))
        if not payload.left:
            self._passed(payload)
        return at + inside

    def _passed(self, payload: _PassingData) -> None:
        if payload.ends:
            self._facts.append(Ended(payload.stream, self._time_ns))
        self._payload = None

    def _frame(self, raw: bytes) -> None:
        try:
            frame, _ = Frame.parse_frame_header(memoryview(raw)[:HEADER])
            frame.parse_body(memoryview(raw)[HEADER:])
        except (HyperframeError, ValueError):
            self._lose_frames()
            return
        if (self._block is not None) != isinstance(frame, ContinuationFrame):
            self._lose_frames()  # no other frame may interrupt a block (section 6.10)
        elif isinstance(frame, (HeadersFrame, PushPromiseFrame)):
            promised = frame.promised_stream_id if isinstance(frame, PushPromiseFrame) else None
            block = _OpenBlock(frame.stream_id, "END_STREAM" in frame.flags, self._start_ns, promised)
            self._fragment(block, frame)
        elif isinstance(frame, ContinuationFrame):
            assert self._block is not None
            self._fragment(self._block, frame)
        elif isinstance(frame, RstStreamFrame):
            self._facts.append(Reset(frame.stream_id, self._time_ns))
        elif isinstance(frame, SettingsFrame):
            size = frame.settings.get(SettingsFrame.HEADER_TABLE_SIZE)
            if size is not None:
                self._facts.append(TableSize(size))

    def _fragment(
        self, block: _OpenBlock, frame: HeadersFrame | PushPromiseFrame | ContinuationFrame
    ) -> None:
        block.data += frame.data
        if len(block.data) > MAX_BLOCK:
            self._lose_frames()
        elif "END_HEADERS" in frame.flags:
            self._block = None
            self._facts.append(
                Block(
                    stream=block.stream,
                    block=bytes(block.data),
                    end_stream=block.end_stream,
                    start_ns=block.start_ns,
                    end_ns=self._time_ns,
                    promised=block.promised,
                )
            )
        else:
            self._block = block

    def _gap(self, gap: Gap) -> None:
        beyond, payload = gap.length, self._payload
        if self._synced and payload is not None:
            inside, content = payload.consume(gap.length)
            self._facts.append(DataGap(payload.stream, content, gap.why, gap.time_ns))
            if not payload.left:
                self._passed(payload)
            beyond -= inside
        if beyond and self._synced:
            self._lose_frames()

    def _lose_frames(self) -> None:
        self._synced = False
        self._payload = None
        self._block = None
        self._preface = False
        self._buffer.clear()
        self._facts.append(FramesLost(self._time_ns))

    def _count(self, bucket: Bytes, length: int) -> None:
        self._counts[bucket] += length
