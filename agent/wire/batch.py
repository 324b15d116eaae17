"""A batch of records, and its msgpack form.

`decode_batch` accepts this version and those in EARLIER; any other bytes raise WireError. A change that a
reader must know of needs a new version and a stored batch of the version before (tests/data/wire).

Few bytes, fewer still compressed, can describe millions of values: each list and map has a bound, which is
checked before any of its values is made, and so has the sum of those in a batch's records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from io import BufferedIOBase
from typing import Annotated, TypeAlias

import msgpack
from msgspec import Meta, MsgspecError, Raw, Struct
from msgspec.msgpack import Decoder, Encoder

from agent.wire.record import Record, values_of
from agent.wire.residents import Residents

VERSION = 3
EARLIER = frozenset({1, 2})
"""Read as VERSION: 2 added `grpc` and `fields_unknown`, 3 `capture`, whose defaults fit what lacks them."""
MAX_BATCH = 32 * 1024 * 1024  # bytes, unpacked
PIECE = 256 * 1024  # bytes read of a stream of records at once
MAX_RECORDS = 10_000  # of a batch; agents send at most 500
MAX_VALUES = 800_000
"""In lists and maps of all records of a batch. The largest, an import's, has 4 MiB and one more record, and a
header field at least six bytes of it.
"""

Buckets: TypeAlias = Annotated[dict[str, int], Meta(max_length=1024)]
Parts: TypeAlias = Annotated[dict[str, Buckets], Meta(max_length=64)]


class WireError(ValueError):
    """The bytes are no valid batch; the message names the field, never its value."""


class CaptureScope(StrEnum):
    """What an agent captures at a moment."""

    NOTHING = "nothing"  # not yet, not any more, or it only receives telemetry
    EVERYTHING = "everything"
    HEADS = "heads"  # no bodies: it cannot keep up
    SAMPLED = "sampled"  # a sample of the connections, without bodies: it cannot keep up with heads


class Capture(Struct, frozen=True):
    """The state of capture when a batch was made. `watching` is one of CaptureScope.

    `lag_ms` is the time from the kernel to the server: how long ago the oldest event occurred that was not
    yet delivered; None if nothing is captured.
    """

    watching: str
    lag_ms: int | None = None


class Batch(Struct, frozen=True):
    """`epoch` is new at each start of the agent, `seq` counts batches within it from 1.

    `ledger` holds the agent's totals so far: {"bytes": {bucket: n}, "exchanges": …, "kernel": …}. `capture`
    is None if the sender does not report it: an agent of version 2, or the import of a file. `residents` is
    None where nothing new is known of pods. `cluster` is the agent's; None if it has none or is of an earlier
    version.
    """

    version: int
    agent: str
    epoch: str
    seq: int
    ledger: dict[str, dict[str, int]]
    records: tuple[Record, ...]
    capture: Capture | None = None
    residents: Residents | None = None
    cluster: str | None = None


class _Versioned(Struct):
    version: int


class _Envelope(Struct):
    """A batch whose records are not decoded yet: all together would not fit the CPU's caches."""

    agent: str
    epoch: str
    seq: int
    ledger: Parts
    records: Annotated[tuple[Raw, ...], Meta(max_length=MAX_RECORDS)]
    capture: Capture | None = None
    residents: Residents | None = None
    cluster: str | None = None


_ENCODER = Encoder()
_RECORDS, _ENVELOPES, _VERSIONS = Decoder(Record), Decoder(_Envelope), Decoder(_Versioned)


def pack_record(record: Record) -> bytes:
    """One record as msgpack."""
    return _ENCODER.encode(record)


def pack_head(
    agent: str,
    epoch: str,
    seq: int,
    ledger: Mapping[str, Mapping[str, int]],
    records: int,
    version: int = VERSION,
    capture: Capture | None = None,
    residents: Residents | None = None,
    cluster: str | None = None,
) -> bytes:
    """A batch up to its first record; the given number of packed records of that version must follow."""
    head: dict[str, object] = {
        "version": version,
        "agent": agent,
        "epoch": epoch,
        "seq": seq,
        "ledger": ledger,
        "capture": capture,
    }
    if residents is not None:
        head["residents"] = residents
    if cluster is not None:
        head["cluster"] = cluster
    packer = msgpack.Packer()
    return b"".join(
        (
            packer.pack_map_header(len(head) + 1),
            *(_ENCODER.encode(part) for field in head.items() for part in field),
            _ENCODER.encode("records"),
            packer.pack_array_header(records),
        )
    )


def pack_batch(
    agent: str,
    epoch: str,
    seq: int,
    ledger: Mapping[str, Mapping[str, int]],
    records: list[bytes],
    capture: Capture | None = None,
    residents: Residents | None = None,
    cluster: str | None = None,
) -> bytes:
    """A batch of records that are already packed, so that none is packed twice."""
    head = pack_head(agent, epoch, seq, ledger, len(records), VERSION, capture, residents, cluster)
    return head + b"".join(records)


def decode_batch(raw: bytes) -> Batch:
    """The batch in `raw`. Raises WireError for anything that is not one."""
    return split_batch(raw)[0]


def split_batch(raw: bytes) -> tuple[Batch, tuple[bytes, ...]]:
    """The batch in `raw`, and each of its records as msgpack of VERSION. Raises WireError."""
    if len(raw) > MAX_BATCH:
        raise WireError(f"batch is larger than {MAX_BATCH} bytes")
    with _refusing("batch"):
        version = _VERSIONS.decode(raw).version
        if version != VERSION and version not in EARLIER:
            raise WireError(f"version: this server speaks {VERSION}; upgrade whichever side is older")
        sent = _ENVELOPES.decode(raw)
    packed = tuple(map(bytes, sent.records))
    with _refusing("record"):  # each keeps its bytes: packing it again costs half as much as reading it
        records = tuple(_bounded(packed))
    if version in EARLIER:
        packed = tuple(map(pack_record, records))
    head = (VERSION, sent.agent, sent.epoch, sent.seq, sent.ledger)
    return Batch(*head, records, sent.capture, sent.residents, sent.cluster), packed


def _bounded(packed: Iterable[bytes]) -> Iterator[Record]:
    """The records, until they hold too many values. Raises WireError."""
    room = MAX_VALUES
    for raw in packed:
        record = _RECORDS.decode(raw)
        room -= values_of(record)
        if room < 0:
            raise WireError(f"record: those of the batch hold more than {MAX_VALUES} values")
        yield record


def decode_record(raw: bytes) -> Record:
    """One record packed by `pack_record`. Raises WireError."""
    with _refusing("record"):
        return _RECORDS.decode(raw)


def read_records(stream: BufferedIOBase) -> Iterator[Record]:
    """The concatenated records that `spectap-agent read` writes. Raises WireError."""
    return map(decode_record, read_packed(stream))


def read_packed(stream: BufferedIOBase) -> Iterator[bytes]:
    """The same records, still packed, as they are sent on. Raises WireError."""
    unpacker = msgpack.Unpacker(max_buffer_size=2 * MAX_BATCH)
    waiting, begins = b"", 0  # bytes from the first record on that was not yet given, and its offset
    with _refusing("record"):
        while piece := stream.read1(PIECE):
            unpacker.feed(piece)
            waiting += piece
            start = begins
            try:
                while True:
                    unpacker.skip()
                    end = unpacker.tell()
                    yield waiting[start - begins : end - begins]
                    start = end
            except msgpack.OutOfData:
                waiting, begins = waiting[start - begins :], start


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    """Turns a decoder's error into a WireError. Its text names a field and a type, never a value."""
    try:
        yield
    except MsgspecError as error:
        wrong, _, place = str(error).partition(" - at `$")
        raise WireError(f"{where}{place.rstrip('`')}: {wrong}") from None
    except (ValueError, RecursionError, OverflowError, msgpack.exceptions.UnpackException) as error:
        if isinstance(error, WireError):
            raise
        raise WireError(f"{where}: not msgpack: {type(error).__name__}") from None
