from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.wire import (
    MAX_BATCH,
    Capture,
    Endpoint,
    Resident,
    Residents,
    SubOperation,
    Timing,
    WebSocket,
    WebSocketHalf,
    WebSocketText,
    WireError,
    decode_record,
    pack_batch,
    pack_record,
)
from server.ingest.decode import MAX_TIME, decode
from tests.server.records import batch, both, record

SENT = WebSocketHalf(1, 1, 0, 0, 0, 0, 2, 0)
SOCKET = WebSocket(SENT, SENT, 1000, "client", 5)

GOOD = batch(7, [*both(0), record(1, path=b"/\xff")])


def test_each_record_comes_with_its_own_bytes() -> None:
    delivery = decode(GOOD)
    assert [decode_record(raw) for raw in delivery.packed] == list(delivery.batch.records)
    assert delivery.packed == tuple(pack_record(one) for one in delivery.batch.records)


def test_records_of_an_older_version_are_packed_anew() -> None:
    tree = msgpack.unpackb(GOOD)
    for one in tree["records"]:
        del one["grpc"]
    delivery = decode(msgpack.packb({**tree, "version": 1}))
    assert delivery == decode(GOOD)
    assert delivery.packed == tuple(pack_record(one) for one in delivery.batch.records)


def test_a_batch_is_the_same_whatever_comes_first_in_it() -> None:
    tree = msgpack.unpackb(GOOD)
    assert decode(msgpack.packb(dict(reversed(tree.items())))) == decode(GOOD)


def test_a_compressed_batch_is_the_same_batch() -> None:
    assert decode(zstandard.compress(GOOD), "zstd") == decode(GOOD, "identity") == decode(GOOD)


def test_a_compressed_batch_may_be_cut_into_frames_anywhere() -> None:
    for cut in range(0, len(GOOD), 7):
        frames = zstandard.compress(GOOD[:cut]) + zstandard.compress(GOOD[cut:])
        assert decode(frames, "zstd") == decode(GOOD)


@pytest.mark.parametrize(
    ("raw", "coding"),
    [
        (GOOD, "zstd"),
        (GOOD, "gzip"),
        (zstandard.compress(GOOD)[:-5], "zstd"),
        (zstandard.compress(GOOD) + b"more", "zstd"),
        (zstandard.compress(b"\0" * (MAX_BATCH + 1)), "zstd"),
        (zstandard.compress(b"\0" * (MAX_BATCH // 2 + 1)) * 2, "zstd"),
        (zstandard.compress(b"\0" * MAX_BATCH) * 100, "zstd"),
        (b"\0" * (MAX_BATCH + 1), ""),
    ],
)
def test_what_cannot_be_unpacked_within_bounds_is_refused(raw: bytes, coding: str) -> None:
    with pytest.raises(WireError):
        decode(raw, coding)


def test_what_waits_for_the_store_adds_to_the_lag() -> None:
    waited = decode(pack_batch("agent-1", "epoch-1", 7, {}, [], Capture("everything", 5))).delayed(7_900_000)
    assert waited.batch.capture == Capture("everything", 12)
    for silent in (GOOD, pack_batch("agent-1", "epoch-1", 7, {}, [], Capture("nothing"))):
        assert decode(silent).delayed(7_900_000) == decode(silent)


@pytest.mark.parametrize(
    ("capture", "field"),
    [
        (Capture("", 5), "watching"),
        (Capture("x" * 1000, 5), "watching"),
        (Capture("everything", -1), "lag_ms"),
        (Capture("everything", 2**62), "lag_ms"),
    ],
)
def test_a_state_of_capture_that_does_not_fit_the_store_is_refused(capture: Capture, field: str) -> None:
    with pytest.raises(WireError, match=field):
        decode(pack_batch("agent-1", "epoch-1", 7, {}, [], capture))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"time": -1}, "time"),
        ({"time": MAX_TIME}, "time"),
        ({"timing": Timing(None, None, None, 2**63)}, "timing"),
        ({"id": ""}, "id"),
        ({"id": "x" * 1000}, "id"),
        ({"connection": "x" * 1000}, "connection"),
        ({"stream": -1}, "stream"),
        ({"client": Endpoint("10.0.0.1", 65536)}, "endpoint"),
        ({"server": Endpoint("10.0.0.1", 1, -5)}, "endpoint"),
        ({"via": Endpoint("10.0.0.1", -1)}, "endpoint"),
        ({"sub_operations": (SubOperation("x" * 1000, "query", "A", None),)}, "protocol"),
        ({"sub_operations": (SubOperation("graphql", "", "A", None),)}, "kind"),
        ({"sub_operations": (SubOperation("graphql", "query", "x" * 2000, None),)}, "name"),
        ({"websocket": replace(SOCKET, close_code=-1)}, "websocket"),
        ({"websocket": replace(SOCKET, closed_by="proxy")}, "closed_by"),
        ({"websocket": replace(SOCKET, end=MAX_TIME)}, "websocket times"),
        ({"websocket": replace(SOCKET, texts=(WebSocketText("proxy", b"{}", 1),))}, "sender"),
        ({"websocket": replace(SOCKET, texts=(WebSocketText("client", b"{}", -1),))}, "websocket times"),
        ({"websocket": replace(SOCKET, client=replace(SENT, bytes=2**63 - 1))}, "websocket"),
        ({"status": -3}, "status"),
    ],
)
def test_numbers_and_names_the_store_could_not_hold_are_refused(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(WireError, match=field):
        decode(batch(1, [record(**changed)]))


def changed(plain: Any, path: list[Any], value: Any) -> bytes:
    """GOOD with the value at `path` replaced, or removed where it is `...`."""
    plain = msgpack.unpackb(GOOD) if plain is None else plain
    at = plain
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    packed: bytes = msgpack.packb(plain)
    return packed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["version"], 99, "version"),
        (["seq"], 0, "batch.seq"),
        (["seq"], True, "batch.seq: Expected `int`"),
        (["agent"], "", "batch.agent"),
        (["ledger", "bytes", "parsed"], -1, "batch.ledger"),
        (["ledger"], [], "batch.ledger: Expected `object`"),
        (["records", 0], [], "record: Expected `object`"),
        (["records", 0, "id"], ..., "record: .*missing.*`id`"),
        (["records", 0, "request", "path"], "text", "record.request.path: Expected `bytes`"),
        (["records", 0, "request", "headers"], [[b"one"]], r"record.request.headers\[0\]: Expected `array`"),
    ],
)
def test_the_refusal_names_the_field(path: list[Any], value: Any, message: str) -> None:
    with pytest.raises(WireError, match=message):
        decode(changed(None, path, value))


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary() | st.floats()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def paths(plain: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON-like value."""
    yield here
    pairs = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, child in pairs:
        yield from paths(child, (*here, key))


PLACES = [path for path in paths(msgpack.unpackb(batch(1, [record()]))) if path]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PLACES), values | st.just(...))
def test_any_value_anywhere_is_a_batch_or_a_refusal(path: tuple[Any, ...], value: Any) -> None:
    raw = changed(msgpack.unpackb(batch(1, [record()])), list(path), value)
    try:
        delivery = decode(raw)
    except WireError:
        return
    assert len(delivery.packed) == len(msgpack.unpackb(raw)["records"])


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["", "zstd"]))
def test_any_bytes_are_a_batch_or_a_refusal(raw: bytes, coding: str) -> None:
    with pytest.raises(WireError):
        decode(raw, coding)


@settings(deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_any_changed_byte_is_a_batch_or_a_refusal(at: int, value: int) -> None:
    raw = GOOD[:at] + bytes([value]) + GOOD[at + 1 :]
    try:
        delivery = decode(raw)
    except WireError:
        return
    assert len(delivery.packed) == len(delivery.batch.records)


def test_a_cut_batch_is_refused_wherever_it_is_cut() -> None:
    for cut in range(len(GOOD)):
        with pytest.raises(WireError):
            decode(GOOD[:cut])


def test_records_keep_what_they_said() -> None:
    one = replace(record(), redactions={"jwt": 2}, upgraded="websocket")
    assert decode(batch(1, [one])).batch.records == (one,)


@pytest.mark.parametrize(
    ("residents", "said"),
    [
        (Residents(None, "n", (Resident((), "p", "s"),) * 4097), r"Expected `array` of length <= 4096"),
        (Residents(None, "n", (Resident(("1",) * 17, "p", "s"),)), "out of range"),
        (Residents(None, "n", (Resident((), "p", "s", since=-1),)), "out of range"),
        (Residents(None, "n" * 1025, ()), "too long"),
        (Residents(None, "n", (Resident((), "p", "s", labels={"a": "b" * 1025}),)), "too long"),
    ],
)
def test_a_report_of_pods_is_bounded(residents: Residents, said: str) -> None:
    with pytest.raises(WireError, match=f"batch.residents.*: {said}"):
        decode(batch(7, [], residents=residents))
