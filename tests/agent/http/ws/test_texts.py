"""JSON texts are kept up to the bound, compressed ones too, and nothing a peer sends costs more than that."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from agent.http.ws.frames import WebSocketReader
from agent.http.ws.texts import DECOMPRESSOR_BYTES, MOST_TEXTS

MOST = 2000
HALVES = (True, False)


def deflate(no_context_takeover: bool = False) -> PerMessageDeflate:
    return PerMessageDeflate(no_context_takeover, no_context_takeover, 15, 15)


def kept(*raw: bytes, most: int = MOST) -> list[bytes]:
    reader = WebSocketReader(True, True, most)
    for time_ns, piece in enumerate(raw):
        reader.feed(piece, time_ns)
        assert reader.held <= 2 * most + DECOMPRESSOR_BYTES
    assert reader.texts is not None
    return [text for _, text in reader.texts.kept]


def text(data: bytes, coder: PerMessageDeflate | None = None, opcode: Opcode = Opcode.TEXT) -> bytes:
    return Frame(opcode, data).serialize(mask=True, extensions=None if coder is None else [coder])


@pytest.mark.parametrize("coded", [None, False, True])
@given(st.lists(st.sampled_from([b'{"a": 1}', b" [2, 3]", b"hello", b"", b'{"b": "' + b"x" * 90 + b'"}'])))
def test_json_texts_are_kept_and_others_are_not(coded: bool | None, texts: list[bytes]) -> None:
    coder = None if coded is None else deflate(coded)
    found = kept(*(text(one, coder) for one in texts), most=1 << 20)
    assert found == [one for one in texts if one.lstrip()[:1] in (b"{", b"[")][:MOST_TEXTS]


def test_binary_messages_are_not_kept_and_still_feed_the_decompressor() -> None:
    coder = deflate()
    raw = [text(b'{"name": "a long value"}', coder, Opcode.BINARY), text(b'{"name": "a long value"}', coder)]
    assert kept(*raw) == [b'{"name": "a long value"}']


def test_a_fragmented_text_is_one() -> None:
    parts = [Frame(Opcode.TEXT, b'{"a"', fin=False), Frame(Opcode.PING, b"{}"), Frame(Opcode.CONT, b": 1}")]
    assert kept(*(part.serialize(mask=True) for part in parts)) == [b'{"a": 1}']


def test_no_more_is_kept_than_the_bound() -> None:
    one = b'{"a": "' + b"x" * 991 + b'"}'
    assert kept(*(text(one) for _ in range(5))) == [one, one]
    assert kept(*(text(b"[]") for _ in range(500))) == [b"[]"] * MOST_TEXTS
    assert kept(text(b"[" + b"1" * MOST + b"]"), text(b"[2]")) == [b"[2]"]


def test_a_bomb_ends_decompression_at_the_bound() -> None:
    coder = deflate()
    bomb = text(b"[" + b"0" * 50_000_000 + b"]", coder)
    assert len(bomb) < 60_000
    assert kept(text(b"[1]", coder), bomb, text(b"[2]", coder), text(b"[3]"), most=1 << 16) == [
        b"[1]",
        b"[3]",
    ]


def test_after_a_compressed_message_with_missing_bytes_none_is_decompressed() -> None:
    coder = deflate()
    first, second, third = (text(b'{"name": "words and words %d"}' % n, coder) for n in range(3))
    reader = WebSocketReader(True, True, MOST)
    reader.feed(first, 1)
    reader.feed(second[:8], 2)
    reader.skip(len(second) - 8, 3)
    reader.feed(third, 4)
    reader.feed(text(b"[4]"), 5)
    assert reader.texts is not None
    assert [data for _, data in reader.texts.kept] == [b'{"name": "words and words 0"}', b"[4]"]
    assert (reader.facts.text, reader.facts.compressed, reader.exact) == (4, 3, True)


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_said_to_be_compressed_raise_nothing(contents: list[bytes]) -> None:
    frames = [b"\xc1" + bytes([len(data)]) + data for data in contents]
    reader = WebSocketReader(False, True, MOST)
    for frame in frames:
        reader.feed(frame, 1)
    assert reader.facts.compressed == len(contents)


def test_a_stream_that_says_it_ends_is_not_continued() -> None:
    ended = zlib.compressobj(wbits=-15)
    data = ended.compress(b"[1]") + ended.flush()
    reader = WebSocketReader(False, True, MOST)
    reader.feed(b"\xc1" + bytes([len(data)]) + data, 1)
    assert reader.texts is not None
    assert reader.texts.kept == []


def test_white_space_without_end_is_not_looked_at_again() -> None:
    spaces = [Frame(Opcode.TEXT if not n else Opcode.CONT, b" ", fin=False) for n in range(100)]
    assert (
        kept(*(one.serialize(mask=True) for one in spaces), Frame(Opcode.CONT, b"[1]").serialize(mask=True))
        == []
    )
