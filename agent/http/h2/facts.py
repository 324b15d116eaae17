"""Facts from the frames of one half; `streams` makes exchanges of them."""

from __future__ import annotations

from agent.frozen import dataclass
from agent.streams.half import GapReason


@dataclass(frozen=True, slots=True)
class Block:
    """A whole header block. `promised` is the stream that PUSH_PROMISE opens."""

    stream: int
    block: bytes
    end_stream: bool
    start_ns: int
    end_ns: int
    promised: int | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """Payload of DATA, without padding."""

    stream: int
    data: bytes
    time_ns: int


@dataclass(frozen=True, slots=True)
class DataGap:
    """Bytes of DATA that are missing; padding may be among them."""

    stream: int
    length: int
    why: GapReason
    time_ns: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The sender has ended the stream (END_STREAM)."""

    stream: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class Reset:
    """RST_STREAM."""

    stream: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class TableSize:
    """SETTINGS_HEADER_TABLE_SIZE: the bound of the other half's encoder."""

    size: int


@dataclass(frozen=True, slots=True)
class FramesLost:
    """Frames may be missing here; HPACK's dynamic table is unknown."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class Prefaced:
    """A reader that had joined late saw the client's preface: nothing came before it."""


FrameFact = Prefaced | Block | Piece | DataGap | Ended | Reset | TableSize | FramesLost
