"""What the library hpack encodes is read as it reads it, and after a late join nothing is invented."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder, HPACKError
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.http.h2 import huffman
from agent.http.h2.hpack import MAX_LIST, MAX_TABLE, FieldDecoder, Fields, FieldsError

names = st.sampled_from([b":path", b":method", b"accept", b"x-a", b"x-b", b"cookie"]) | st.binary(
    min_size=1, max_size=12
).filter(lambda name: b"\0" not in name)
values = st.sampled_from([b"GET", b"/", b"gzip, deflate"]) | st.binary(max_size=40)
lists = st.lists(st.tuples(names, values), max_size=8)
blocks = st.lists(
    st.tuples(lists, st.booleans(), st.none() | st.sampled_from([0, 60, 200, 4096])), max_size=8
)

Block = tuple[list[tuple[bytes, bytes]], bool, int | None]


def encoded(made: list[Block]) -> list[bytes]:
    encoder = Encoder()
    found = []
    for fields, coded, size in made:
        if size is not None:
            encoder.header_table_size = size
        found.append(encoder.encode(fields, huffman=coded))
    return found


def fields_of(pairs: list[tuple[bytes, bytes]]) -> Fields:
    pseudo: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name.startswith(b":"):
            pseudo.setdefault(name, value)
    return Fields(pseudo, tuple((n, v) for n, v in pairs if not n.startswith(b":")), 0)


@given(blocks)
def test_what_the_library_encodes_is_read(made: list[Block]) -> None:
    decoder = FieldDecoder(late=False)
    for block, (fields, _, _) in zip(encoded(made), made, strict=True):
        assert decoder.decode(block) == fields_of(fields)


@given(blocks, st.data())
def test_after_a_late_join_each_field_is_right_or_unknown(made: list[Block], data: st.DataObject) -> None:
    sent = encoded(made)
    joined = data.draw(st.integers(0, len(sent)))
    decoder = FieldDecoder(late=True)
    for block, (fields, _, _) in zip(sent[joined:], made[joined:], strict=True):
        found, true = decoder.decode(block), fields_of(fields)
        assert len(found.pseudo) + len(found.headers) + found.unknown >= len(true.pseudo) + len(true.headers)
        assert {*found.headers} <= {*true.headers}
        assert found.pseudo.keys() <= true.pseudo.keys()


@settings(max_examples=500)
@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_are_read_or_refused_as_by_the_library(sent: list[bytes]) -> None:
    decoder, library = FieldDecoder(late=False), Decoder(MAX_LIST)
    for block in sent:
        try:
            expected = fields_of([(bytes(n), bytes(v)) for n, v in library.decode(block, raw=True)])
        except (HPACKError, IndexError, ValueError):
            with pytest.raises(FieldsError):
                decoder.decode(block)
            return
        assert decoder.decode(block) == expected


@given(st.binary(max_size=80))
def test_any_text_is_read_from_its_code(text: bytes) -> None:
    block = Encoder().encode([(b"x", text)], huffman=True)
    assert FieldDecoder(late=False).decode(block).headers == ((b"x", text),)


@pytest.mark.parametrize(("coded", "why"), [(b"\xff\xff\xff\xff", "not a code"), (b"\x00\xfe", "cut")])
def test_what_is_no_code_or_ends_within_one_is_refused(coded: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        huffman.decoded(coded)


def test_a_list_or_an_integer_that_is_too_long_is_refused() -> None:
    for block in (Encoder().encode([(b"x", bytes(MAX_LIST))], huffman=False), b"\xff" + b"\xff" * 20):
        with pytest.raises(FieldsError):
            FieldDecoder(late=False).decode(block)


def test_a_table_may_grow_as_far_as_the_other_half_allows() -> None:
    grown = Encoder()
    grown.header_table_size = 10_000
    block = grown.encode([(b"x", b"y")])
    with pytest.raises(FieldsError):
        FieldDecoder(late=False).decode(block)
    decoder = FieldDecoder(late=False)
    decoder.allow(10_000)
    assert decoder.decode(block).headers == ((b"x", b"y"),)


def test_memory_is_bounded_however_many_entries_pass() -> None:
    decoder = FieldDecoder(late=True)
    encoder = Encoder()
    encoder.header_table_size = MAX_TABLE
    for number in range(2000):
        decoder.decode(encoder.encode([(b"x", b"%d" % number * 200)], huffman=False))
        assert decoder._used <= MAX_TABLE
        assert len(decoder._entries) <= 2 * MAX_TABLE // 200
