"""The record: one agent's account of an exchange, and its msgpack form.

The only module of the agent that the server imports; agent/checked.py does the reading. A record is already
redacted. Absent is None, times are integer nanoseconds since the epoch (UTC), header names and values, paths
and bodies are raw bytes. `decode_batch` accepts this version and earlier ones; any other bytes raise
WireError. STEPS has one function for each step between versions.

A field with a default can be added to any of these classes without a new version: an agent that does not send
it gets the default, and a server that does not know it ignores it. A change that a reader must know of needs
a new version, a step, and a stored batch of the version before (tests/data/wire).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import IO, Any, get_args, get_origin, get_type_hints

import msgpack

from agent.checked import Pairs as Pairs
from agent.checked import WireError as WireError
from agent.checked import names_of, reader

VERSION = 3
MAX_BATCH = 32 * 1024 * 1024  # bytes, unpacked

TOTALS = {"bytes": "seen", "exchanges": "parsed"}
"""The parts of a batch's ledger, each with the bucket that is the sum of the others."""
LOSSES = {
    "bytes": frozenset({"late", "ring_full", "table_full", "unread_at_exit", "stepped_down", "sampled_out"}),
    "exchanges": frozenset(
        {"redaction_failed", "queue_full", "spool_full", "spool_expired", "spool_unreadable", "refused"}
        | {"unsent_at_exit"}
    ),
}
"""The loss buckets of each part: bytes not parsed, or exchanges not stored, that should have been."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of the connection. `netns` is the network namespace's inode, known for ends on this node."""

    ip: str
    port: int
    netns: int | None = None
    pod: str | None = None
    namespace: str | None = None
    workload: str | None = None
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Process:
    """The captured process; (boot_id, pid, start_ticks) is unique. `pod` is the UID of its pod, `image` the
    name of its container's image as the runtime was given it.
    """

    pid: int
    name: str
    boot_id: str
    start_ticks: int | None = None
    executable: str | None = None
    unit: str | None = None
    container: str | None = None
    pod: str | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A payload after transfer coding; `size` is its true length on the wire, `data` is content-decoded,
    redacted and at most the cap. `state` is one of agent.http.messages.BodyState; or "masked" if the text has
    no structure and was masked as a whole (data is None); or "malformed" if it is complete and not the JSON
    that its type declares (data is the readable prefix, or None). `events` counts the server-sent events of
    an event stream, also beyond the cap; None if it is none, is coded, or bytes are missing.
    """

    size: int | None
    data: bytes | None
    state: str
    events: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    scheme: str
    authority: bytes | None
    path: bytes  # as sent: percent-encoded, without query; the authority for CONNECT
    query: bytes | None  # without "?"; None if there was no "?"
    headers: Pairs
    trailers: Pairs
    body: Body
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Pairs
    trailers: Pairs
    body: Body
    content_type: str | None
    interim: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall-clock ns: the request's first and last byte, the response's first and last byte."""

    request_start: int | None
    request_end: int | None
    first_byte: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Consumer:
    """Hints at who called. `credential` is a keyed fingerprint (hex), never the secret; `facts` describe the
    credential, such as {"jwt.alg": "RS256", "basic": "true"}.
    """

    user_agent: str | None = None
    credential_scheme: str | None = None
    credential: str | None = None
    client_name: str | None = None
    test_name: str | None = None
    aggregation: str | None = None
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grpc:
    """gRPC's status, and the messages of each direction: how many, bytes of all and of the largest, as sent
    and without their prefix; None if not seen.
    """

    status: int | None
    request_messages: int | None
    response_messages: int | None
    request_bytes: int | None = None
    response_bytes: int | None = None
    request_largest: int | None = None
    response_largest: int | None = None


@dataclass(frozen=True, slots=True)
class SubOperation:
    """One thing that a request asked for in its body or query, by a protocol above HTTP.

    `protocol` is graphql, jsonrpc or mcp. `kind` is query, mutation, subscription, persisted (the document is
    the server's) or unknown in GraphQL, call or notification in the others. `name` is the operation's, or of
    GraphQL without one its root fields as "{a, b}"; the method; in MCP also the tool: "tools/call search". It
    is "" where there is none, "redacted" where it was masked. `failed` is None if the answer does not say.
    """

    protocol: str
    kind: str
    name: str
    failed: bool | None


@dataclass(frozen=True, slots=True)
class Mask:
    """A value that was replaced by a placeholder, which keeps its JSON type, format and length class.

    `where` is path, query, header, cookie, request.body, response.header, response.cookie or response.body;
    `pointer` the parameter's or header's name, the segment's index in the path, or the JSON pointer in the
    body; `rule` names the rule that found it. Enum, pattern and bounds there cannot be validated.
    """

    where: str
    pointer: str
    rule: str


@dataclass(frozen=True, slots=True)
class Record:
    id: str  # hex of a hash over (agent, boot id, connection, generation, ordinal, side)
    agent: str
    node: str
    cluster: str | None
    time: int  # wall ns of the first byte seen
    monotonic: int
    protocol: str  # "h1", "h2", "h3" (reported in files only), "grpc"
    tls: str | None  # the library's name
    side: str  # client, server, unknown
    connection: str
    stream: int  # HTTP/2: the stream's number; HTTP/1: the exchange's ordinal in its connection
    client: Endpoint | None
    server: Endpoint | None
    process: Process | None
    request: Request | None
    response: Response | None
    timing: Timing
    consumer: Consumer
    completeness: str  # one of agent.http.messages.Completeness
    upgraded: str | None = None
    error: str | None = None
    masks: tuple[Mask, ...] = ()
    masks_left_out: int = 0  # masks beyond the bound: then nothing below `where` can be validated
    redactions: dict[str, int] = field(default_factory=dict)
    grpc: Grpc | None = None
    fields_unknown: int = (
        0  # header fields not captured: HPACK entries older than the capture; 1 if none are reported
    )
    via: Endpoint | None = None  # of a client's view through a tunnel: the proxy's end that the server sees
    sub_operations: tuple[SubOperation, ...] = ()


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


def lost(ledger: Mapping[str, Mapping[str, int]], part: str) -> int:
    """The sum of the loss buckets in one part of a ledger."""
    counts = ledger.get(part, {})
    return sum(counts.get(bucket, 0) for bucket in LOSSES[part])


@dataclass(frozen=True, slots=True)
class Balance:
    """One part of a ledger. `total` was counted where bytes or exchanges entered, `settled` is the sum of the
    buckets; the difference is still in progress, or was when the agent was killed. If the total was not
    `counted` (by an agent of an earlier version), it is the sum of the buckets.
    """

    part: str
    total: int
    settled: int
    buckets: tuple[tuple[str, int], ...]  # largest first, without empty ones
    counted: bool

    @property
    def open(self) -> int:
        """The part in no bucket yet: 0 once a run has ended."""
        return self.total - self.settled

    def __str__(self) -> str:
        sum_of = " + ".join(f"{count:,} {bucket}" for bucket, count in self.buckets) or "0"
        end = f" + {self.open:,} in no bucket" if self.open else ", balanced"
        return f"{self.total:,} {self.part} {TOTALS[self.part]} = {sum_of}{end}"


def balances(ledger: Mapping[str, Mapping[str, int]]) -> tuple[Balance, ...]:
    """The balance of each part of one start's ledger."""
    return tuple(_balance(part, ledger.get(part, {}), total) for part, total in TOTALS.items())


def _balance(part: str, counts: Mapping[str, int], total: str) -> Balance:
    buckets = [(bucket, count) for bucket, count in counts.items() if bucket != total and count]
    settled = sum(count for _, count in buckets)
    ordered = tuple(sorted(buckets, key=lambda item: (-item[1], item[0])))
    return Balance(part, counts.get(total, settled), settled, ordered, total in counts or not settled)
