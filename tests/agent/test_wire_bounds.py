"""What describes millions of values in few bytes is refused before they are made."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgpack
import pytest

from agent import wire

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
