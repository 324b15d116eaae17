"""One half of an HTTP/2 connection as frames (RFC 9113 section 4), passively.

DATA passes through in pieces and is never held; header blocks are put together from HEADERS,
PUSH_PROMISE and CONTINUATION. A hole inside DATA is told and passed over; any other hole breaks the
framing and, with it, HPACK: the reader says `Broken` and looks for the next frame at the starts of
segments, where a chain of frames is recognised by what each type allows.
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

from agent.frozen import dataclass
from agent.ledger import Bytes
from agent.streams.half import Data, Gap, Segment, Why

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER = 9
MAX_FRAME = 1 << 20
"""Payload of a frame other than DATA that is put together; a larger one breaks the half."""

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


@dataclass(frozen=True, slots=True)
class Block:
    """A whole header block. `promised` is the stream that PUSH_PROMISE opens, else 0."""

    stream: int
    block: bytes
    end_stream: bool
    start_ns: int
    end_ns: int
    promised: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Payload of DATA, without padding."""

    stream: int
    data: bytes
    time_ns: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Bytes of DATA that are missing; padding may be among them."""

    stream: int
    length: int
    why: Why
    time_ns: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The sender is done with the stream (END_STREAM)."""

    stream: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class Reset:
    """RST_STREAM."""

    stream: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class TableSize:
    """SETTINGS_HEADER_TABLE_SIZE: the other half's encoder may use this much."""

    size: int


@dataclass(frozen=True, slots=True)
class Broken:
    """Frames may be missing from here; HPACK's table is unknown."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class Prefaced:
    """The client's preface, met by a reader that had joined late: nothing came before it."""


FrameFact = Prefaced | Block | Piece | Hole | Ended | Reset | TableSize | Broken


def plausible(data: bytes) -> bool:
    """Whether `data` starts with a chain of frames, each as its type allows, to its end."""
    at, found = 0, 0
    while len(data) - at >= HEADER:
        length, kind, flags, stream = _header(data, at)
        if not _allowed(length, kind, flags, stream):
            return False
        at += HEADER + length
        found += 1
    return found > 0


def carries_headers(data: bytes) -> bool:
    """Whether a plausible chain of frames has one that starts with HEADERS of a client's stream."""
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


class FrameReader:
    """Segments in, facts out. `preface`: the half begins with the client's; `synced`: a frame starts here."""

    def __init__(self, counts: Counter[str], preface: bool, synced: bool) -> None:
        self._counts = counts
        self._buffer = bytearray()  # of a frame (or preface) that is not complete
        self._preface = preface
        self._synced = synced
        self._time_ns = 0
        self._start_ns = 0
        self._stream = 0  # of the DATA frame that is passing, else 0
        self._left = 0
        self._padding = 0
        self._ends = False
        self._block: bytearray | None = None  # a header block that goes on in CONTINUATION
        self._opened = Block(0, b"", False, 0, 0)
        self._facts: list[FrameFact] = []
        self.passed = 0

    @property
    def held(self) -> int:
        """Bytes of memory."""
        return len(self._buffer) + len(self._block or b"")

    def read(self, segment: Segment) -> list[FrameFact]:
        """What the next segment says."""
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
            if self._stream:
                at = self._pass_data(data, at)
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
        """How long the buffer must be before it can be looked at again."""
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
                self._break()
            self._buffer.clear()
            return
        if len(self._buffer) < self._wanted():
            return  # only the header so far
        length, kind, flags, stream = _header(self._buffer, 0)
        if length > MAX_FRAME and kind != DATA:
            self._break()
        elif kind == DATA:
            self._data_begins(length, flags, stream & 0x7FFFFFFF)
        else:
            self._frame(bytes(self._buffer))
        self._buffer.clear()

    def _data_begins(self, length: int, flags: int, stream: int) -> None:
        padded = bool(flags & PADDED)
        self._padding = self._buffer[HEADER] if padded else 0
        self._left = length - padded
        self._ends = bool(flags & END_STREAM)
        if not stream or self._block is not None or self._padding > self._left or self._left < 0:
            self._break()
            return
        self._stream = stream
        if not self._left:
            self._data_ended()

    def _pass_data(self, data: bytes, at: int) -> int:
        take = min(self._left, len(data) - at)
        payload = min(take, max(0, self._left - self._padding))
        if payload:
            self._facts.append(Piece(self._stream, data[at : at + payload], self._time_ns))
        self._left -= take
        if not self._left:
            self._data_ended()
        return at + take

    def _data_ended(self) -> None:
        if self._ends:
            self._facts.append(Ended(self._stream, self._time_ns))
        self._stream = 0

    def _frame(self, raw: bytes) -> None:
        try:
            frame, _ = Frame.parse_frame_header(memoryview(raw)[:HEADER])
            frame.parse_body(memoryview(raw)[HEADER:])
        except (HyperframeError, ValueError):
            self._break()
            return
        if (self._block is not None) != isinstance(frame, ContinuationFrame):
            self._break()  # nothing may come between the frames of a block (section 6.10)
        elif isinstance(frame, (HeadersFrame, PushPromiseFrame)):
            promised = frame.promised_stream_id if isinstance(frame, PushPromiseFrame) else 0
            ends = "END_STREAM" in frame.flags
            self._opened = Block(frame.stream_id, b"", ends, self._start_ns, 0, promised)
            self._block = bytearray()
            self._fragment(frame)
        elif isinstance(frame, ContinuationFrame):
            self._fragment(frame)
        elif isinstance(frame, RstStreamFrame):
            self._facts.append(Reset(frame.stream_id, self._time_ns))
        elif isinstance(frame, SettingsFrame):
            size = frame.settings.get(SettingsFrame.HEADER_TABLE_SIZE)
            if size is not None:
                self._facts.append(TableSize(size))

    def _fragment(self, frame: HeadersFrame | PushPromiseFrame | ContinuationFrame) -> None:
        assert self._block is not None
        self._block += frame.data
        if len(self._block) > MAX_BLOCK:
            self._break()
        elif "END_HEADERS" in frame.flags:
            opened, block = self._opened, bytes(self._block)
            self._block = None
            self._facts.append(
                Block(
                    opened.stream, block, opened.end_stream, opened.start_ns, self._time_ns, opened.promised
                )
            )

    def _gap(self, gap: Gap) -> None:
        length = gap.length
        if self._synced and self._stream:
            inside = min(length, self._left)
            payload = min(inside, max(0, self._left - self._padding))
            self._facts.append(Hole(self._stream, payload, gap.why, gap.time_ns))
            self._left -= inside
            length -= inside
            if not self._left:
                self._data_ended()
        if length and self._synced:
            self._break()

    def _break(self) -> None:
        self._synced = False
        self._stream = 0
        self._block = None
        self._preface = False
        self._buffer.clear()
        self._facts.append(Broken(self._time_ns))

    def _count(self, bucket: Bytes, length: int) -> None:
        self._counts[bucket] += length
