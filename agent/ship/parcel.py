"""A parcel: records sent to the server as one batch, compressed once and kept compressed.

The body of a POST is a sequence of zstd frames (RFC 8878, 3.1): the batch's head, then the frames of its
records. So the number of records need not be known in advance, and parcels merge without compressing again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgpack
import zstandard

from agent.wire import MAX_BATCH

LEVEL = 3

LedgerMap = Mapping[str, Mapping[str, int]]


class UnreadableParcel(Exception):
    """The frames do not contain the expected records."""


@dataclass(frozen=True, slots=True)
class BatchAddress:
    """Identifies a batch for the server. `head` is the batch up to its first record; it never changes."""

    agent: str
    epoch: str
    seq: int
    head: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """The ledger of `agent` and `epoch` counts it; `version` is its records' wire version, `size` their
    unpacked bytes. `first` is the first record's place in the spool and `at` the time it was written (wall
    clock in ns), None if in memory only. `address` is set once assigned: the batch may have been sent with
    it. A parcel without records carries only a ledger.
    """

    agent: str
    epoch: str
    version: int
    records: int
    size: int
    frames: bytes
    first: int | None = None
    at: int | None = None
    address: BatchAddress | None = None


def compressed(records: Sequence[bytes]) -> bytes:
    """A frame of packed records."""
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(b"".join(records))


def body(parcel: Parcel, address: BatchAddress, coded: bool) -> bytes:
    """The body to post: zstd, or plain for a server without zstd. Raises UnreadableParcel."""
    if coded:
        return compressed([address.head]) + parcel.frames
    return address.head + _plain(parcel)


def records_of(parcel: Parcel) -> list[bytes]:
    """The packed records of a parcel. Raises UnreadableParcel."""
    plain = _plain(parcel)
    unpacker = msgpack.Unpacker(max_buffer_size=MAX_BATCH)
    found: list[bytes] = []
    try:
        unpacker.feed(plain)
        start = 0
        for _ in range(parcel.records):
            unpacker.skip()
            found.append(plain[start : unpacker.tell()])
            start = unpacker.tell()
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise UnreadableParcel(type(error).__name__) from None
    return found


def halves_of(parcel: Parcel) -> tuple[Parcel, Parcel]:
    """Two parcels with half of the records each. Raises UnreadableParcel."""
    records = records_of(parcel)
    middle = len(records) // 2
    return _part(parcel, 0, records[:middle]), _part(parcel, middle, records[middle:])


def _part(parcel: Parcel, start: int, records: Sequence[bytes]) -> Parcel:
    return replace(
        parcel,
        records=len(records),
        size=sum(map(len, records)),
        frames=compressed(records),
        first=None if parcel.first is None else parcel.first + start,
        address=None,
    )


def _plain(parcel: Parcel) -> bytes:
    unpacker = zstandard.ZstdDecompressor()
    try:
        with unpacker.stream_reader(parcel.frames, read_across_frames=True) as reader:
            plain = reader.read(parcel.size + 1)
    except zstandard.ZstdError as error:
        raise UnreadableParcel(type(error).__name__) from None
    if len(plain) != parcel.size:
        raise UnreadableParcel("length")
    return plain
