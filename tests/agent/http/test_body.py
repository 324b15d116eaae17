"""Content codings are decoded exactly and within bounds, whatever the bytes."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.http.body import MAX_CODINGS, decode
from agent.http.messages import Body, BodyState, Headers

TEXT = b'{"items":["%s"]}' % (b"apple pear plum " * 4000)
LIMIT = 1 << 20


def raw_deflate(text: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(text) + stream.flush()


def zstd_stream(text: bytes) -> bytes:
    stream = zstandard.ZstdCompressor().compressobj()
    return stream.compress(text) + stream.flush()


CODERS: list[tuple[bytes, Callable[[bytes], bytes]]] = [
    (b"gzip", gzip.compress),
    (b"x-gzip", gzip.compress),
    (b"deflate", zlib.compress),
    (b"deflate", raw_deflate),
    (b"br", brotli.compress),
    (b"zstd", zstd_stream),
    (b"ZSTD", zstandard.ZstdCompressor().compress),
]


def coded(name: bytes) -> Headers:
    return ((b"content-type", b"application/json"), (b"content-encoding", name))


def whole(data: bytes) -> Body:
    return Body(len(data), data, BodyState.COMPLETE)


@pytest.mark.parametrize(("name", "encode"), CODERS)
def test_each_coding_is_undone_and_the_size_stays_the_wires(
    name: bytes, encode: Callable[[bytes], bytes]
) -> None:
    raw = encode(TEXT)
    assert decode(whole(raw), coded(name), LIMIT) == Body(len(raw), TEXT, BodyState.COMPLETE)


@pytest.mark.parametrize(("name", "encode"), CODERS)
def test_output_of_exactly_the_limit_is_complete_and_one_more_byte_is_truncated(
    name: bytes, encode: Callable[[bytes], bytes]
) -> None:
    raw = whole(encode(TEXT))
    assert decode(raw, coded(name), len(TEXT)).state is BodyState.COMPLETE
    assert decode(raw, coded(name), len(TEXT) - 1) == replace(raw, data=TEXT[:-1], state=BodyState.TRUNCATED)


@pytest.mark.parametrize(("name", "encode"), CODERS)
def test_a_prefix_gives_a_decodable_prefix_and_keeps_its_state(
    name: bytes, encode: Callable[[bytes], bytes]
) -> None:
    raw = encode(bytes(range(256)) * 2000 + TEXT)
    for state in (BodyState.TRUNCATED, BodyState.GAP):
        got = decode(Body(len(raw), raw[: len(raw) - 5], state), coded(name), LIMIT)
        assert got.state is state
        assert got.data
        assert (bytes(range(256)) * 2000 + TEXT).startswith(got.data)


@pytest.mark.parametrize("name", [b"gzip", b"deflate", b"br", b"zstd"])
def test_what_is_not_of_the_coding_is_undecodable(name: bytes) -> None:
    got = decode(whole(b"\xffthis was never compressed"), coded(name), LIMIT)
    assert got == Body(26, b"", BodyState.UNDECODABLE)


@pytest.mark.parametrize("name", [b"gzip", b"deflate", b"br"])
def test_a_whole_body_whose_coding_never_ends_is_undecodable(name: bytes) -> None:
    encode = dict(CODERS)[name]
    assert decode(whole(encode(TEXT)[:-5]), coded(name), LIMIT).state is BodyState.UNDECODABLE


def test_stacked_codings_are_undone_in_reverse_over_several_header_lines() -> None:
    raw = brotli.compress(zlib.compress(gzip.compress(TEXT)))
    headers = ((b"content-encoding", b"gzip, deflate"), (b"content-encoding", b"identity, br"))
    assert decode(whole(raw), headers, LIMIT).data == TEXT


def test_several_gzip_members_with_padding_are_one_body() -> None:
    raw = gzip.compress(b"one ") + gzip.compress(b"two") + b"\0" * 7
    assert decode(whole(raw), coded(b"gzip"), LIMIT) == Body(len(raw), b"one two", BodyState.COMPLETE)


def test_an_unknown_coding_and_a_tower_of_codings_are_undecodable() -> None:
    for name in (b"compress", b", ".join([b"gzip"] * (MAX_CODINGS + 1))):
        assert decode(whole(b"x"), coded(name), LIMIT).state is BodyState.UNDECODABLE


def test_without_coding_the_body_stays_itself() -> None:
    body = whole(TEXT)
    assert decode(body, ((b"content-encoding", b"identity"),), 3) is body


@pytest.mark.parametrize(("name", "encode"), CODERS)
def test_a_bomb_costs_no_more_memory_than_limit_and_window(
    name: bytes, encode: Callable[[bytes], bytes]
) -> None:
    bomb = whole(encode(bytes(64 << 20)))
    tracemalloc.start()
    try:
        got = decode(bomb, coded(name), 1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(got.data), got.state) == (1000, BodyState.TRUNCATED)
    assert peak < 24 << 20


def test_a_stacked_bomb_is_bounded_at_every_stage() -> None:
    bomb = whole(gzip.compress(gzip.compress(bytes(64 << 20))))
    tracemalloc.start()
    try:
        got = decode(bomb, coded(b"gzip, gzip"), 1000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert got.state is BodyState.TRUNCATED
    assert peak < 1 << 20


@settings(deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"gzip", b"deflate", b"br", b"zstd", b"gzip, br", b"zstd, deflate"]),
    st.sampled_from(list(BodyState)),
    st.integers(0, 100),
)
def test_any_bytes_decode_to_a_body_within_the_limit_and_never_an_exception(
    raw: bytes, name: bytes, state: BodyState, limit: int
) -> None:
    got = decode(Body(len(raw), raw, state), coded(name), limit)
    assert len(got.data) <= limit
    assert got.size == len(raw)


@settings(deadline=None)
@given(st.binary(max_size=3000), st.sampled_from(CODERS), st.data())
def test_a_corrupted_byte_never_raises(
    text: bytes, coder: tuple[bytes, Callable[[bytes], bytes]], data: st.DataObject
) -> None:
    raw = bytearray(coder[1](text))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    decode(whole(bytes(raw)), coded(coder[0]), LIMIT)
