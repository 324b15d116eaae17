"""The wire format: any bytes are a batch or a WireError, and packed records are read back."""

from __future__ import annotations

import traceback
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from agent import wire
from agent.ledger import Bytes, Exchanges
from agent.redact.redactor import Redactor
from tests.agent.redact.redaction import JSON, KEY, POLICY, PROVENANCE, body, exchange, request, response

SECRET = "Quokka-Bassoon-8814"
RECORD = Redactor(POLICY, KEY).record(
    exchange(request(headers=JSON, payload=body(b'{"password": "x"}')), response()), PROVENANCE
)

integers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=8)


def _strategy(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation of agent/wire."""
    origin, args = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return st.builds(kind, **{name: _strategy(hint) for name, hint in get_type_hints(kind).items()})
    if origin is UnionType:
        return st.one_of(*map(_strategy, args))
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(_strategy(args[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_strategy, args))
    if origin is dict:
        return st.dictionaries(texts, _strategy(args[1]), max_size=3)
    scalars: dict[Any, st.SearchStrategy[Any]] = {
        **{str: texts, int: integers, bool: st.booleans()},
        **{bytes: st.binary(max_size=8), type(None): st.none()},
    }
    return scalars[kind]


records: st.SearchStrategy[wire.Record] = _strategy(wire.Record)
plain = st.recursive(
    st.one_of(st.none(), st.booleans(), integers, st.floats(), texts, st.binary(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


def _batch(records: list[bytes]) -> bytes:
    return wire.pack_batch("agent-1", "epoch-1", 7, {"bytes": {"parsed": 3}}, records)


def _tree(raw: bytes) -> Any:
    return msgpack.unpackb(raw, raw=False)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a tree."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else []
    found: list[tuple[Any, Any]] = []
    for key in keys:
        found += [(tree, key), *_places(tree[key])]
    return found


@given(st.lists(records, max_size=3))
def test_a_batch_is_read_as_it_was_packed(packed: list[wire.Record]) -> None:
    batch = wire.decode_batch(_batch([wire.pack_record(record) for record in packed]))
    assert batch == wire.Batch(wire.VERSION, "agent-1", "epoch-1", 7, {"bytes": {"parsed": 3}}, tuple(packed))


@given(st.none() | _strategy(wire.Capture))
def test_the_state_of_capture_is_read_as_it_was_packed(capture: wire.Capture | None) -> None:
    assert wire.decode_batch(wire.pack_batch("agent-1", "epoch-1", 7, {}, [], capture)).capture == capture


@given(st.none() | _strategy(wire.Residents))
def test_the_pods_of_a_node_are_read_as_they_were_packed(residents: wire.Residents | None) -> None:
    packed = wire.pack_batch("agent-1", "epoch-1", 7, {}, [], None, residents)
    assert wire.decode_batch(packed).residents == residents
    assert ("residents" in _tree(packed)) is (residents is not None)


def test_a_field_with_a_default_may_be_missing_and_an_unknown_one_is_passed_over() -> None:
    tree = _tree(_batch([]))
    del tree["capture"]
    assert wire.decode_batch(msgpack.packb(tree)).capture is None
    tree["capture"] = {"watching": "everything", "of a later version": 1}
    assert wire.decode_batch(msgpack.packb(tree)).capture == wire.Capture("everything", None)


@given(records)
def test_a_record_is_read_as_it_was_packed(record: wire.Record) -> None:
    assert wire.decode_record(wire.pack_record(record)) == record


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_a_wire_error(raw: bytes) -> None:
    _batch_or_error(raw)


@settings(max_examples=300)
@given(plain)
def test_any_msgpack_is_a_batch_or_a_wire_error(tree: Any) -> None:
    _batch_or_error(msgpack.packb(tree))
    _batch_or_error(msgpack.packb({"version": tree}))


@settings(max_examples=300)
@given(st.data())
def test_a_batch_with_any_place_changed_is_a_batch_or_a_wire_error(data: st.DataObject) -> None:
    tree = _tree(_batch([wire.pack_record(RECORD)]))
    container, key = data.draw(st.sampled_from(_places(tree)))
    if data.draw(st.booleans()) and isinstance(container, dict):
        del container[key]
    else:
        container[key] = data.draw(plain)
    _batch_or_error(msgpack.packb(tree))


@settings(max_examples=300)
@given(st.data())
def test_a_batch_with_any_byte_changed_or_cut_is_a_batch_or_a_wire_error(data: st.DataObject) -> None:
    raw = bytearray(_batch([wire.pack_record(RECORD)]))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    _batch_or_error(bytes(raw))
    _batch_or_error(bytes(raw[:at]))


def test_a_record_like_those_before_it_is_checked_as_they_were() -> None:
    """Valid combinations of types are cached; the content of maps and lists is not part of them."""
    good = wire.pack_record(RECORD)
    assert wire.decode_record(good) == RECORD
    for change in (
        {"redactions": {"rule": "three"}},
        {"redactions": {1: 1}},
        {"masks": [["query", "a", "b"]]},
        {"stream": True},
        {"request": {**_tree(good)["request"], "headers": [[b"name", "text"]]}},
        {"request": {**_tree(good)["request"], "headers": [[b"name"]]}},
        {"timing": {**_tree(good)["timing"], "end": "now"}},
    ):
        with pytest.raises(wire.WireError):
            wire.decode_record(msgpack.packb({**_tree(good), **change}))
        assert wire.decode_record(good) == RECORD


def test_an_error_names_the_field_and_never_the_value() -> None:
    tree = _tree(_batch([wire.pack_record(RECORD)]))
    errors = []
    for container, key in _places(tree):
        before, container[key] = container[key], {SECRET: SECRET}
        errors.append(_batch_or_error(msgpack.packb(tree)))
        container[key] = before
    said = [traceback.format_exception(error) for error in errors if error is not None]
    assert len(said) > len(errors) / 2
    assert SECRET not in str(said)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ([], "batch: Expected `object`"),
        ({}, "version"),
        ({"version": 99}, "version"),
        ({"version": [1]}, "version"),
        ({"version": wire.VERSION}, "batch: .*missing.*`agent`"),
    ],
)
def test_what_is_no_batch_is_refused_by_name(tree: Any, message: str) -> None:
    with pytest.raises(wire.WireError, match=message):
        wire.decode_batch(msgpack.packb(tree))


def test_what_follows_a_batch_is_refused_and_of_a_field_that_comes_twice_the_last_counts() -> None:
    raw = _batch([wire.pack_record(RECORD)])
    with pytest.raises(wire.WireError, match="trailing"):
        wire.decode_batch(raw + b"\0")
    again = msgpack.packb("records") + msgpack.packb([])
    assert wire.split_batch(bytes([raw[0] + 1]) + raw[1:] + again) == (wire.decode_batch(_batch([])), ())


NAMED = {
    "workload_kind": "Deployment",
    "node": "n",
    "container": "web",
    "image": "cart:1",
    "digest": "sha256:d",
    "service": "cart",
}
"""What was added to an end within version 3."""


def test_an_end_is_read_by_servers_that_know_less_and_from_agents_that_knew_less() -> None:
    end = wire.Endpoint("10.0.0.1", 80, 7, "cart-1", "shop", "cart", {"a": "b"}, **NAMED)
    tree = _tree(wire.pack_record(replace(RECORD, server=end)))
    assert tree["server"] == {name: getattr(end, name) for name in end.__struct_fields__}
    earlier = {name: value for name, value in tree["server"].items() if name not in NAMED}
    read = wire.decode_record(msgpack.packb({**tree, "server": earlier})).server
    assert read == wire.Endpoint("10.0.0.1", 80, 7, "cart-1", "shop", "cart", {"a": "b"})
    later = {**tree["server"], "of a later version": 1}
    assert wire.decode_record(msgpack.packb({**tree, "server": later})).server == end


def test_an_end_without_a_pod_costs_no_more_than_its_address() -> None:
    tree = _tree(wire.pack_record(replace(RECORD, server=wire.Endpoint("10.0.0.1", 80))))
    assert tree["server"] == {"ip": "10.0.0.1", "port": 80}


def test_what_is_read_is_as_frozen_as_what_was_made() -> None:
    read = wire.decode_record(wire.pack_record(RECORD))
    assert type(read) is wire.Record
    with pytest.raises(AttributeError):
        read.stream = 8  # type: ignore[misc]


def test_a_batch_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = _batch([])
    monkeypatch.setattr(wire.batch, "MAX_BATCH", len(raw))
    assert wire.decode_batch(raw).records == ()
    with pytest.raises(wire.WireError, match="larger"):
        wire.decode_batch(raw + b"\0")


@pytest.mark.parametrize("raw", [b"\x91" * 100_000, b"\x81\xa1a" * 100_000, b"\xdf\xff\xff\xff\xff", b"\xc7"])
def test_depth_and_false_lengths_are_refused(raw: bytes) -> None:
    _batch_or_error(raw)
    with pytest.raises(wire.WireError):
        wire.decode_record(raw)


def _batch_or_error(raw: bytes) -> wire.WireError | None:
    """The error, if it is none of a batch; any other exception fails the test."""
    try:
        assert isinstance(wire.decode_batch(raw), wire.Batch)
    except wire.WireError as error:
        return error
    return None


def test_a_ledger_says_how_it_adds_up_and_what_is_in_no_bucket() -> None:
    ledger = {"bytes": {"seen": 1000, "late": 0, "parsed": 900}, "exchanges": {"parsed": 3, "shipped": 3}}
    assert [str(one) for one in wire.balances(ledger)] == [
        "1,000 bytes seen = 900 parsed + 100 in no bucket",
        "3 exchanges parsed = 3 shipped, balanced",
    ]
    assert [one.open for one in wire.balances({})] == [0, 0]


NO_LOSS = {
    "bytes": {
        *("seen", "parsed", "not_http", "tls_ciphertext", "unix_socket", "not_tcp", "filtered"),
        *("uncaptured", "capped", "unsynced", "opaque"),
    },
    "exchanges": {"unreadable", "parsed", "in_flight", "shipped", "opted_out"},
}


@pytest.mark.parametrize(("part", "buckets"), [("bytes", Bytes), ("exchanges", Exchanges)])
def test_every_bucket_of_the_ledger_is_a_loss_or_is_none(part: str, buckets: type[Bytes | Exchanges]) -> None:
    assert {str(one) for one in buckets} == wire.LOSSES[part] | NO_LOSS[part]
    assert not wire.LOSSES[part] & NO_LOSS[part]


def test_what_was_lost_is_counted_by_part() -> None:
    ledger = {"bytes": {"parsed": 9, "late": 1, "ring_full": 2}, "exchanges": {"shipped": 4, "refused": 3}}
    assert [wire.lost(ledger, part) for part in ("bytes", "exchanges")] == [3, 3]
    assert wire.lost({}, "bytes") == 0
