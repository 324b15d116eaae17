"""Decodes a request's body into a batch whose numbers all fit the store. Anything else is a WireError."""

from __future__ import annotations

from dataclasses import dataclass

import zstandard
from msgspec.structs import astuple, replace

from agent.wire import MAX_BATCH, Batch, Record, Residents, WebSocket, WireError, split_batch

MAX_TIME = 2**62  # ns: the year 2116
MAX_ID = 128  # maximum length in characters of ids and names that agents choose
MAX_NAME = 1024  # characters of a sub-operation's name; agents send at most about 300
MAX_COUNT = 2**62
MAX_IPS = 16  # of a pod
CODINGS = frozenset({"", "identity", "zstd"})


@dataclass(frozen=True, slots=True)
class Delivery:
    """A batch, and each of its records packed as msgpack of the current version, ready to be stored."""

    batch: Batch
    packed: tuple[bytes, ...]

    def delayed(self, ns: int) -> Delivery:
        """The same, after it has waited here for so long: the agent's lag has grown."""
        capture = self.batch.capture
        if capture is None or capture.lag_ms is None:
            return self
        waited = replace(capture, lag_ms=capture.lag_ms + max(0, ns) // 1_000_000)
        return Delivery(replace(self.batch, capture=waited), self.packed)


def unpacked(raw: bytes, coding: str) -> bytes:
    """Decompresses the body by its content coding, one of CODINGS; zstd may have several frames (RFC 8878,
    3.1).

    Raises WireError.
    """
    if coding not in CODINGS:
        raise WireError("content coding: not zstd or identity")
    if coding != "zstd":
        return raw
    unpacker = zstandard.ZstdDecompressor(max_window_size=MAX_BATCH)
    try:
        with unpacker.stream_reader(raw, read_across_frames=True) as reader:
            plain = reader.read(MAX_BATCH + 1)
    except zstandard.ZstdError:
        raise WireError("content coding: not zstd") from None
    if len(plain) > MAX_BATCH:
        raise WireError(f"batch is larger than {MAX_BATCH} bytes")
    return plain


def decode(raw: bytes, coding: str = "") -> Delivery:
    """Decodes the batch in a request's body. Raises WireError, which names a field and never contains a
    value.
    """
    batch, packed = split_batch(unpacked(raw, coding))
    if not 1 <= batch.seq < MAX_COUNT:
        raise WireError("batch.seq: out of range")
    _short(batch.agent, "batch.agent")
    _short(batch.epoch, "batch.epoch")
    if len(batch.cluster or "") > MAX_NAME:
        raise WireError("batch.cluster: too long")
    if any(not 0 <= n < MAX_COUNT for counts in batch.ledger.values() for n in counts.values()):
        raise WireError("batch.ledger: out of range")
    if batch.capture is not None:
        _short(batch.capture.watching, "batch.capture.watching")
        if not 0 <= (batch.capture.lag_ms or 0) < MAX_COUNT:
            raise WireError("batch.capture.lag_ms: out of range")
    if batch.residents is not None:
        _check_residents(batch.residents)
    for record in batch.records:
        _check(record)
    return Delivery(batch, packed)


def _short(text: str, where: str) -> None:
    if not 0 < len(text) <= MAX_ID:
        raise WireError(f"{where}: empty or too long")


def _check_residents(residents: Residents) -> None:
    texts = [residents.cluster or "", residents.node]
    for one in residents.pods:
        if len(one.ips) > MAX_IPS or not 0 <= one.since < MAX_TIME:
            raise WireError("batch.residents: out of range")
        texts += [*one.ips, one.pod or "", one.namespace, one.workload or "", one.workload_kind or ""]
        texts += [text for label in one.labels.items() for text in label]
    if any(len(text) > MAX_NAME for text in texts):
        raise WireError("batch.residents: too long")


def _check(record: Record) -> None:
    _short(record.id, "record.id")
    _short(record.connection, "record.connection")
    timing = record.timing
    for moment in (record.time, timing.request_start, timing.request_end, timing.first_byte, timing.end):
        if moment is not None and not 0 <= moment < MAX_TIME:
            raise WireError("record.time or timing: out of range")
    if not 0 <= record.stream < MAX_COUNT:
        raise WireError("record.stream: out of range")
    if record.response is not None and not 0 <= record.response.status <= 9999:
        raise WireError("record.response.status: out of range")
    if record.websocket is not None:
        _check_websocket(record.websocket)
    for sub in record.sub_operations:
        _short(sub.protocol, "record.sub_operations.protocol")
        _short(sub.kind, "record.sub_operations.kind")
        if len(sub.name) > MAX_NAME:
            raise WireError("record.sub_operations.name: too long")
    for end in (record.client, record.server, record.via):
        if end is not None and not (0 <= end.port <= 65535 and 0 <= (end.netns or 0) < MAX_TIME):
            raise WireError("record endpoint: out of range")


def _check_websocket(connection: WebSocket) -> None:
    counts = (*astuple(connection.client), *astuple(connection.server), connection.close_code or 0)
    if any(not 0 <= count < MAX_COUNT for count in counts):
        raise WireError("record.websocket: out of range")
    if connection.closed_by not in (None, "client", "server"):
        raise WireError("record.websocket.closed_by: not client or server")
    times = (connection.end or 0, *(text.time for text in connection.texts))
    if any(not 0 <= moment < MAX_TIME for moment in times):
        raise WireError("record.websocket times: out of range")
    if any(text.sender not in ("client", "server") for text in connection.texts):
        raise WireError("record.websocket.texts.sender: not client or server")
