"""A batch of records, and its msgpack form; agent/checked.py does the reading.

`decode_batch` accepts this version and earlier ones; any other bytes raise WireError. STEPS has one function
for each step between versions. A change that a reader must know of needs a new version, a step, and a stored
batch of the version before (tests/data/wire).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import IO, Any, get_args, get_origin, get_type_hints

import msgpack

from agent.checked import WireError, names_of, reader
from agent.wire.record import Record

VERSION = 3
MAX_BATCH = 32 * 1024 * 1024  # bytes, unpacked


class CaptureScope(StrEnum):
    """What an agent captures at a moment."""

    NOTHING = "nothing"  # not yet, not any more, or it only receives telemetry
    EVERYTHING = "everything"
    HEADS = "heads"  # no bodies: it cannot keep up
    SAMPLED = "sampled"  # a sample of the connections, without bodies: it cannot keep up with heads


@dataclass(frozen=True, slots=True)
class Capture:
    """The state of capture when a batch was made. `watching` is one of CaptureScope.

    `lag_ms` is the time from the kernel to the server: how long ago the oldest event occurred that was not
    yet delivered; None if nothing is captured.
    """

    watching: str
    lag_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """`epoch` is new at each start of the agent, `seq` counts batches within it from 1.

    `ledger` holds the agent's totals so far: {"bytes": {bucket: n}, "exchanges": …, "kernel": …}. `capture`
    is None if the sender does not report it: an agent of version 2, or the import of a file.
    """

    version: int
    agent: str
    epoch: str
    seq: int
    ledger: dict[str, dict[str, int]]
    records: tuple[Record, ...]
    capture: Capture | None = None


def _from_1(batch: dict[str, Any]) -> dict[str, Any]:
    """Version 2 added `grpc` and `fields_unknown`; their defaults fit a record without them."""
    return {**batch, "version": 2}


def _from_2(batch: dict[str, Any]) -> dict[str, Any]:
    """Version 3 added `capture` to the batch; its default fits one without it."""
    return {**batch, "version": 3}


STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}
"""Conversions from version N to N+1."""


@cache
def _parts(kind: type) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], tuple[str, ...]]:
    """A dataclass's field names, a getter of their values, and the names of fields that are dataclasses or
    None. Every dataclass here has at least two fields.
    """
    names, hints = names_of(kind), get_type_hints(kind)
    nested = tuple(name for name in names if any(map(is_dataclass, (hints[name], *get_args(hints[name])))))
    return names, attrgetter(*names), tuple(name for name in nested if get_origin(hints[name]) is not tuple)


def _map_of(value: Any) -> dict[str, Any]:
    """A dataclass as a map for msgpack, with nested ones; other values are packed unchanged."""
    kind: type = type(value)
    names, values, nested = _parts(kind)
    made = dict(zip(names, values(value), strict=True))
    for name in nested:
        if made[name] is not None:
            made[name] = _map_of(made[name])
    return made


def pack_record(record: Record) -> bytes:
    """One record as msgpack."""
    packed: bytes = msgpack.packb(_map_of(record), default=_map_of)
    return packed


def pack_head(
    agent: str,
    epoch: str,
    seq: int,
    ledger: Mapping[str, Mapping[str, int]],
    records: int,
    version: int = VERSION,
    capture: Capture | None = None,
) -> bytes:
    """A batch up to its first record; the given number of packed records of that version must follow."""
    head = {
        "version": version,
        "agent": agent,
        "epoch": epoch,
        "seq": seq,
        "ledger": {name: dict(counts) for name, counts in ledger.items()},
        "capture": None if capture is None else _map_of(capture),
    }
    packer = msgpack.Packer(autoreset=False)
    packer.pack_map_header(len(head) + 1)
    for key, value in head.items():
        packer.pack(key)
        packer.pack(value)
    packer.pack("records")
    packer.pack_array_header(records)
    packed: bytes = packer.bytes()
    return packed


def pack_batch(
    agent: str,
    epoch: str,
    seq: int,
    ledger: Mapping[str, Mapping[str, int]],
    records: list[bytes],
    capture: Capture | None = None,
) -> bytes:
    """A batch of records that are already packed, so that none is packed twice."""
    return pack_head(agent, epoch, seq, ledger, len(records), capture=capture) + b"".join(records)


def decode_batch(raw: bytes) -> Batch:
    """The batch in `raw`. Raises WireError for anything that is not one."""
    return split_batch(raw)[0]


def split_batch(raw: bytes) -> tuple[Batch, tuple[bytes, ...]]:
    """The batch in `raw`, and each of its records as msgpack of VERSION. Raises WireError."""
    if len(raw) > MAX_BATCH:
        raise WireError(f"batch is larger than {MAX_BATCH} bytes")
    records: list[tuple[Record, bytes]] = []
    try:
        plain = _plain_batch(raw, records)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException, RecursionError) as error:
        if isinstance(error, WireError):
            raise
        raise WireError(f"not msgpack: {type(error).__name__}") from None
    version = plain.get("version")
    if type(version) is not int:
        raise WireError("batch.version: not int")
    while version in STEPS and version != VERSION:
        plain = STEPS[version](plain)
        version = plain.get("version")
    if version != VERSION:
        raise WireError(f"version: this server speaks {VERSION}; upgrade whichever side is older")
    batch = reader(Batch, "batch")(plain)
    assert isinstance(batch, Batch)
    if not records:
        return batch, tuple(pack_record(record) for record in batch.records)
    return replace(batch, records=tuple(record for record, _ in records)), tuple(own for _, own in records)


def _plain_batch(raw: bytes, records: list[tuple[Record, bytes]]) -> dict[Any, Any]:
    """The batch's map. Records of this version are added to `records`: each is read before the next is
    unpacked (all together would not fit the CPU's caches), and keeps its bytes (packing again costs as much
    as reading).
    """
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=True, use_list=False, max_buffer_size=MAX_BATCH)
    unpacker.feed(raw)
    plain: dict[Any, Any] = {}
    for _ in range(_fields(unpacker)):
        key = unpacker.unpack()
        if key in plain:
            raise WireError("batch: a field twice")
        if key == "records" and plain.get("version") == VERSION:
            plain[key] = ()
            records.extend(_each(unpacker, raw))
        else:
            plain[key] = unpacker.unpack()
    if unpacker.tell() != len(raw):
        raise WireError("not msgpack: more follows")
    return plain


def _fields(unpacker: msgpack.Unpacker) -> int:
    try:
        count: int = unpacker.read_map_header()
    except ValueError:
        raise WireError("batch: not a map") from None
    return count


def _each(unpacker: msgpack.Unpacker, raw: bytes) -> Iterator[tuple[Record, bytes]]:
    read = reader(Record, "batch.records")
    for _ in range(unpacker.read_array_header()):
        start = unpacker.tell()
        record = read(unpacker.unpack())
        yield record, raw[start : unpacker.tell()]


def decode_record(raw: bytes) -> Record:
    """One record packed by `pack_record`. Raises WireError."""
    try:
        plain = msgpack.unpackb(raw, raw=False, strict_map_key=True, use_list=False)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise WireError(f"not msgpack: {type(error).__name__}") from None
    record = reader(Record, "record")(plain)
    assert isinstance(record, Record)
    return record


def read_records(stream: IO[bytes]) -> Iterator[Record]:
    """The concatenated records that `spectap-agent read` writes. Raises WireError."""
    read = reader(Record, "record")
    unpacker = msgpack.Unpacker(
        stream, raw=False, strict_map_key=True, use_list=False, max_buffer_size=MAX_BATCH
    )
    try:
        for plain in unpacker:
            yield read(plain)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        if isinstance(error, WireError):
            raise
        raise WireError(f"not msgpack: {type(error).__name__}") from None
