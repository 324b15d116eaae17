"""What describes millions of values in few bytes is refused before they are made."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgpack
import pytest
from msgspec import inspect

from agent import wire
from agent.http.h1 import draft
from agent.http.h1.heads import MAX_HEAD
from agent.http.h2 import hpack, stream
from agent.http.ws import texts
from agent.redact import credentials, mask_log, sub_operations
from agent.sources import fields
from agent.wire import record as record_module
from agent.wire.record import MAX_FIELDS
from tests.server.records import record

MANY = 30_000_000
MOST = 1024 * 1024  # bytes that a refusal may take; the values would be hundreds of times that

NODE: dict[str, Any] = {"cluster": None, "node": "n", "pods": []}
POD: dict[str, Any] = {"ips": [], "pod": "p", "namespace": "s", "labels": {}}


def head(**changed: Any) -> dict[str, bytes]:
    fields = {"version": 3, "agent": "agent-1", "epoch": "epoch-1", "seq": 7, "ledger": {}, "records": []}
    return {name: msgpack.packb(value) for name, value in {**fields, **changed}.items()}


def mapped(count: int) -> bytes:
    return b"\xdf" + count.to_bytes(4, "big")


def packed(fields: dict[str, bytes]) -> bytes:
    pairs = (msgpack.packb(name) + value for name, value in fields.items())
    return mapped(len(fields)) + b"".join(pairs)


def many(value: bytes, count: int = MANY) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big") + value * count


def distinct(value: bytes, count: int = 1_000_000) -> bytes:
    names = (msgpack.packb(f"{number:07}") + value for number in range(count))
    return mapped(count) + b"".join(names)


def of_node(pods: bytes) -> bytes:
    return packed({**{name: msgpack.packb(value) for name, value in NODE.items()}, "pods": pods})


def of_pod(field: str, value: bytes) -> bytes:
    pod = {**{name: msgpack.packb(one) for name, one in POD.items()}, field: value}
    return of_node(many(packed(pod), 1))


def in_a_part(totals: bytes) -> bytes:
    return packed({"bytes": totals})


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("records", many(b"\xc0"), r"batch\.records: .* length <= 10000"),
        ("records", many(b"\x80"), r"batch\.records: .* length <= 10000"),
        ("ledger", distinct(b"\x80"), r"batch\.ledger: .* length <= 64"),
        ("ledger", in_a_part(distinct(b"\0")), r"batch\.ledger\[\.\.\.\]: .* length <= 1024"),
        ("residents", of_node(many(b"\x80")), r"batch\.residents\.pods: .* length <= 4096"),
        ("residents", of_pod("ips", many(b"\xa0")), r"batch\.residents\.pods\[0\]\.ips: .* length <= 1024"),
        ("residents", of_pod("labels", distinct(b"\xa0")), r"pods\[0\]\.labels: .* length <= 1024"),
    ],
    ids=["nils", "maps", "parts", "buckets", "pods", "ips", "labels"],
)
def test_no_list_and_no_map_of_a_head_is_made_beyond_its_bound(
    version: int, field: str, value: bytes, message: str
) -> None:
    raw = packed({**head(version=version), field: value})
    tracemalloc.start()
    try:
        with pytest.raises(wire.WireError, match=message):
            wire.decode_batch(raw)
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_unknown_fields_are_passed_over_and_not_made(version: int) -> None:
    raw = packed({**head(version=version), "other": many(b"\x80")})
    tracemalloc.start()
    try:
        assert wire.decode_batch(raw).seq == 7
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_first_of_many_records_that_is_none_is_refused(version: int) -> None:
    with pytest.raises(wire.WireError, match="record: Expected"):
        wire.decode_batch(packed({**head(version=version), "records": many(b"\xc0", wire.MAX_RECORDS)}))


def of_record(**changed: Any) -> dict[str, Any]:
    """A record as plain values; of parts, given as PART__FIELD, one field changes."""
    plain: dict[str, Any] = msgpack.unpackb(wire.pack_record(record()))
    for name, value in changed.items():
        part, _, field = name.rpartition("__")
        (plain[part] if part else plain)[field] = value
    return plain


def repeated(count: int, value: Any) -> list[Any]:
    return [value] * count


def named(count: int, value: Any) -> dict[str, Any]:
    return {f"{number:06}": value for number in range(count)}


FIELD, MASK = [b"", b""], {"where": "", "pointer": "", "rule": ""}
SUB = {"protocol": "", "kind": "", "name": "", "failed": None}
HALF = dict.fromkeys(("frames", "text", "binary", "pings", "pongs", "compressed", "bytes", "unseen"), 0)
SOCKET = {"client": HALF, "server": HALF, "close_code": None, "closed_by": None, "end": None}
TEXT = {"sender": "client", "data": b"", "time": 0}


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"request__headers": repeated(200_000, FIELD)}, r"request\.headers"),
        ({"request__trailers": repeated(200_000, FIELD)}, r"request\.trailers"),
        ({"response__headers": repeated(200_000, FIELD)}, r"response\.headers"),
        ({"response__trailers": repeated(200_000, FIELD)}, r"response\.trailers"),
        ({"response__interim": repeated(1_000_000, 100)}, r"response\.interim"),
        ({"masks": repeated(100_000, MASK)}, "masks"),
        ({"sub_operations": repeated(100_000, SUB)}, "sub_operations"),
        ({"websocket": {**SOCKET, "texts": repeated(100_000, TEXT)}}, r"websocket\.texts"),
        ({"redactions": named(100_000, 1)}, "redactions"),
        ({"consumer__facts": named(100_000, "")}, r"consumer\.facts"),
        ({"client__labels": named(100_000, "")}, r"client\.labels"),
        ({"server__labels": named(100_000, "")}, r"server\.labels"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_no_list_and_no_map_of_a_record_is_made_beyond_its_bound(changed: dict[str, Any], place: str) -> None:
    raw = msgpack.packb(of_record(**changed))
    tracemalloc.start()
    try:
        with pytest.raises(wire.WireError, match=rf"record\.{place}: .* length <= "):
            wire.decode_record(raw)
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


def test_the_records_of_a_batch_hold_no_more_values_than_an_agent_can_send() -> None:
    many = msgpack.packb(of_record(request__headers=repeated(MAX_FIELDS, FIELD)))
    fit = wire.MAX_VALUES // (MAX_FIELDS + 1)
    assert len(wire.decode_batch(wire.pack_batch("a", "e", 1, {}, [many] * fit)).records) == fit
    with pytest.raises(wire.WireError, match="those of the batch hold more than 800000 values"):
        wire.decode_batch(wire.pack_batch("a", "e", 1, {}, [many] * 100))


def test_the_bounds_of_a_record_are_what_agents_can_send() -> None:
    assert len(b"a:\r\n") * MAX_FIELDS >= max(MAX_HEAD, hpack.MAX_LIST // hpack.OVERHEAD)
    assert MAX_FIELDS >= fields.MAX_HEADERS
    assert record_module.MAX_MASKS == mask_log.MAX_MASKS
    assert record_module.MAX_SUB_OPERATIONS == sub_operations.MOST
    assert record_module.MAX_TEXTS == 2 * texts.MOST_TEXTS
    assert record_module.MAX_INTERIM == draft.MAX_INTERIM == stream.MAX_INTERIM
    assert record_module.MAX_NAMED > credentials.MAX_CLAIMS


def test_every_list_and_map_of_a_record_counts_and_has_a_bound() -> None:
    """A field that is added needs both."""
    found = set()
    for kind in (
        wire.Record,
        wire.Request,
        wire.Response,
        wire.Endpoint,
        wire.Consumer,
        wire.WebSocket,
        wire.Body,
        wire.Process,
        wire.Timing,
        wire.Grpc,
        wire.WebSocketHalf,
        wire.WebSocketText,
        wire.SubOperation,
        wire.Mask,
    ):
        for one in inspect.type_info(kind).fields:  # type: ignore[attr-defined]
            if isinstance(one.type, inspect.VarTupleType | inspect.DictType):
                assert one.type.max_length is not None, one.name
                found.add(one.name)
    assert found == {
        "headers",
        "trailers",
        "interim",
        "masks",
        "sub_operations",
        "texts",
        "redactions",
        "facts",
        "labels",
    }
