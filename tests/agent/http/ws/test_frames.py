"""Frames count as the websockets library reads them, whatever the pieces; missing bytes are stated."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from agent.http.messages import WebSocketCounts
from agent.http.ws.frames import MAX_HEADER, NO_STATUS, WebSocketReader, parse, unmasked

KEPT = 4096
payloads = st.binary(max_size=200) | st.sampled_from(
    [b"", b"x" * 125, b"y" * 126, b"z" * 65535, b"w" * 65536]
)
messages = st.tuples(
    st.sampled_from([Opcode.TEXT, Opcode.BINARY]), st.lists(payloads, min_size=1, max_size=4), st.booleans()
)
controls = st.tuples(st.sampled_from([Opcode.PING, Opcode.PONG]), st.binary(max_size=125))


def serialized(frames: Iterable[Frame], masked: bool) -> list[bytes]:
    return [frame.serialize(mask=masked) for frame in frames]


@st.composite
def streams(draw: st.DrawFn) -> list[Frame]:
    """The frames of one end: fragmented messages, with control frames between the fragments."""
    frames: list[Frame] = []
    for opcode, parts, _ in draw(st.lists(messages, max_size=5)):
        for number, part in enumerate(parts):
            frames += [Frame(*control) for control in draw(st.lists(controls, max_size=1))]
            frames.append(Frame(Opcode.CONT if number else opcode, part, fin=number == len(parts) - 1))
    if draw(st.booleans()):
        frames.append(Frame(Opcode.CLOSE, draw(st.sampled_from([b"", b"\x03\xe8", b"\x0f\xa0bye"]))))
    return frames


def library(masked: bool) -> Protocol:
    """The other end's protocol in the library, after the handshake."""
    if masked:
        return ServerProtocol(state=OPEN, max_size=None)
    return ClientProtocol(parse_uri("ws://h/"), state=OPEN, max_size=None)


def counted(frames: Iterable[Frame]) -> WebSocketCounts:
    """What a reader should count of these frames as the library reports them."""
    frames = list(frames)
    kinds = [frame.opcode for frame in frames]
    last = Opcode.CONT
    ended: list[Opcode] = []
    for frame in frames:
        last = frame.opcode if frame.opcode in (Opcode.TEXT, Opcode.BINARY) else last
        if frame.fin and frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            ended.append(last)
    return WebSocketCounts(
        frames=len(frames),
        text=ended.count(Opcode.TEXT),
        binary=ended.count(Opcode.BINARY),
        pings=kinds.count(Opcode.PING),
        pongs=kinds.count(Opcode.PONG),
        compressed=0,
        bytes=sum(len(frame.data) for frame in frames),
        unseen=0,
    )


def read(pieces: Iterable[bytes], masked: bool, extended: bool = False) -> WebSocketReader:
    reader = WebSocketReader(masked, extended, KEPT)
    for time_ns, piece in enumerate(pieces):
        reader.feed(piece, time_ns)
    return reader


def cuts(raw: bytes, places: Iterable[int]) -> list[bytes]:
    edges = sorted({0, len(raw), *(place for place in places if place < len(raw))})
    return [raw[start:end] for start, end in pairwise(edges)]


@given(streams(), st.booleans(), st.lists(st.integers(0, 3000), max_size=12))
def test_any_frames_in_any_pieces_count_as_the_library_reads_them(
    frames: list[Frame], masked: bool, places: list[int]
) -> None:
    raw = b"".join(serialized(frames, masked))
    other = library(masked)
    other.receive_data(raw)
    events = [event for event in other.events_received() if isinstance(event, Frame)]
    reader = read(cuts(raw, places), masked)
    assert reader.facts == counted(events) == counted(frames)
    assert (reader.close is not None) == any(frame.opcode is Opcode.CLOSE for frame in frames)
    if reader.close is not None:
        assert reader.close.code == (other.close_rcvd.code if other.close_rcvd else None)


@given(st.binary(max_size=300), st.booleans(), st.booleans(), st.lists(st.integers(0, 300), max_size=6))
def test_any_bytes_are_frames_or_unseen_and_never_an_exception(
    raw: bytes, masked: bool, extended: bool, places: list[int]
) -> None:
    reader = WebSocketReader(masked, extended, KEPT)
    for piece in cuts(raw, places):
        assert 0 <= reader.feed(piece, 1) <= len(piece)
    other = library(masked)
    other.receive_data(raw)
    events = [event for event in other.events_received() if isinstance(event, Frame)]
    assert reader.facts.frames >= len(events)
    assert reader.held <= 3 * KEPT + 48 * 1024
    assert len(reader._header) < MAX_HEADER


@given(streams(), st.booleans(), st.data())
def test_a_loss_is_unseen_up_to_the_next_segment_of_whole_frames(
    frames: list[Frame], masked: bool, data: st.DataObject
) -> None:
    segments = serialized(frames, masked)
    if not segments:
        return
    lost = data.draw(st.integers(0, len(segments) - 1))
    reader = WebSocketReader(masked, False)
    for number, segment in enumerate(segments):
        if number == lost:
            reader.skip(len(segment), number)
        else:
            reader.feed(segment, number)
    rest = [*frames[:lost], *frames[lost + 1 :]]
    facts, expected = reader.facts, counted(rest)
    if lost and frames[lost - 1].opcode is Opcode.CLOSE:
        return
    assert (facts.frames, facts.bytes, facts.pings, facts.pongs) == (
        *(expected.frames, expected.bytes, expected.pings, expected.pongs),
    )
    assert facts.text + facts.binary <= expected.text + expected.binary + 1
    assert facts.unseen == len(segments[lost])


@pytest.mark.parametrize("masked", [True, False])
def test_bytes_missing_within_a_payload_cost_no_count(masked: bool) -> None:
    raw = Frame(Opcode.TEXT, b"{" + b"x" * 1000).serialize(mask=masked)
    reader = WebSocketReader(masked, False, KEPT)
    reader.feed(raw[:100], 1)
    reader.skip(500, 2)
    reader.feed(raw[600:], 3)
    reader.feed(Frame(Opcode.TEXT, b"[1]").serialize(mask=masked), 4)
    assert reader.facts == WebSocketCounts(2, 2, 0, 0, 0, 0, 1004, 0)
    assert reader.texts is not None
    assert reader.texts.kept == [(4, b"[1]")]


def test_after_a_loss_a_segment_is_read_only_if_it_is_frames_to_its_end() -> None:
    hello, world = (Frame(Opcode.TEXT, text).serialize(mask=False) for text in (b"hello", b"world"))
    reader = WebSocketReader(False, False)
    reader.skip(7, 1)
    for segment in (hello[:-1], hello[3:], b"plain text", hello + world[:-1]):
        assert reader.feed(segment, 2) == 0
    assert reader.feed(hello + world, 3) == len(hello + world)
    assert reader.feed(world[:4], 4) == 4  # in order again: any piece will do
    reader.feed(world[4:], 5)
    assert (reader.facts.text, reader.exact) == (3, False)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x83\x00",  # an opcode that means nothing
        b"\x09\x00",  # a fragmented Ping
        b"\x89\x7e\x00\x7e",  # a Ping of 126 bytes
        b"\xc1\x00",  # a reserved bit without an extension
        b"\x81\x80abcd",  # a masked frame of a server
        b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",  # a length of 2**63
    ],
)
def test_what_a_server_cannot_send_is_unseen(raw: bytes) -> None:
    reader = read([raw, b"more"], masked=False)
    assert reader.facts == WebSocketCounts(0, 0, 0, 0, 0, 0, 0, len(raw) + 4)


def test_a_payload_of_nearly_2_to_the_63_is_counted_as_it_passes() -> None:
    reader = WebSocketReader(False, False)
    reader.feed(b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 1)
    reader.feed(b"x" * 1000, 2)
    reader.skip(2**62, 3)
    assert reader.facts == WebSocketCounts(0, 0, 0, 0, 0, 0, 2**62 + 1000, 0)


def test_bytes_after_a_close_frame_are_none() -> None:
    reader = WebSocketReader(False, False)
    close = Frame(Opcode.CLOSE, b"").serialize(mask=False)
    assert reader.feed(close + b"rest", 1) == len(close)
    assert reader.feed(close, 2) == 0
    reader.skip(5, 3)
    assert reader.close is not None
    assert (reader.close.code, reader.facts.frames, reader.exact) == (NO_STATUS, 1, True)


@given(st.binary(max_size=70), st.binary(min_size=4, max_size=4), st.integers(0, 9))
def test_unmasking_turns_with_the_key(data: bytes, key: bytes, phase: int) -> None:
    assert unmasked(data, key, phase) == bytes(byte ^ key[(at + phase) % 4] for at, byte in enumerate(data))
    assert unmasked(data, b"", phase) == data


def test_compressed_messages_are_counted_and_their_bytes_are_those_sent() -> None:
    deflate = PerMessageDeflate(False, False, 15, 15)
    raw = [Frame(Opcode.TEXT, b'{"n": 1}').serialize(mask=True, extensions=[deflate]) for _ in range(3)]
    reader = read([*raw, Frame(Opcode.BINARY, b"plain").serialize(mask=True)], masked=True, extended=True)
    header = parse(raw[0], 0)
    assert header is not None
    assert (reader.facts.compressed, reader.facts.text, reader.facts.binary) == (3, 3, 1)
    assert reader.facts.bytes == sum(map(len, raw)) - 3 * header.size + 5


def test_a_close_frame_with_missing_bytes_has_no_code() -> None:
    raw = Frame(Opcode.CLOSE, b"\x03\xe8bye").serialize(mask=False)
    reader = WebSocketReader(False, False)
    reader.feed(raw[:3], 1)
    reader.skip(len(raw) - 3, 2)
    assert (reader.close, reader.exact) == (None, False)
