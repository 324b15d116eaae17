"""HTTP/2 parsed passively: conversations of two real h2 endpoints, whole, cut anywhere, with gaps, joined
late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from agent.events import Direction, Role
from agent.http.h2.streams import Streams
from agent.http.messages import EMPTY_BODY, BodyState, Completeness, Exchange, Grpc, WebSocketCounts
from agent.ledger import Bytes
from agent.streams.half import Data, Gap, GapReason

CAP = 65536
ASK, ANSWER = Direction.SENT, Direction.RECEIVED
Wire = list[tuple[Direction, bytes]]
Holed = list[tuple[Direction, bytes | int]]


@dataclass
class Talk:
    """Two h2 endpoints in conversation; `wire` has one entry per flight of bytes."""

    wire: Wire = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.flush()

    def flush(self) -> list[h2.events.Event]:
        events: list[h2.events.Event] = []
        while True:
            to_server, to_client = self.client.data_to_send(), self.server.data_to_send()
            if not to_server and not to_client:
                return events
            if to_server:
                self.wire.append((ASK, to_server))
                events += self.server.receive_data(to_server)
            if to_client:
                self.wire.append((ANSWER, to_client))
                events += self.client.receive_data(to_client)

    def ask(self, number: int, method: str, path: str, body: bytes = b"", /, **more: str) -> None:
        fields = [(":method", method), (":scheme", "https"), (":authority", "pets"), (":path", path)]
        fields += [(name.replace("_", "-"), value) for name, value in more.items()]
        self.client.send_headers(number, fields, end_stream=not body)
        if body:
            self.client.send_data(number, body, end_stream=True, pad_length=7)
        self.flush()

    def answer(self, number: int, body: bytes = b"", trailers: bool = False, **more: str) -> None:
        fields = [(":status", "200"), ("server", "test"), ("x-number", str(number))]
        fields += [(name.replace("_", "-"), value) for name, value in more.items()]
        self.server.send_headers(number, fields, end_stream=not body and not trailers)
        if body:
            self.server.send_data(number, body, end_stream=not trailers)
        if trailers:
            self.server.send_headers(number, [("grpc-status", "0")], end_stream=True)
        self.flush()


def conversation() -> Wire:
    """Eight interleaved streams: bodies in both directions, padding, trailers, a 103, a reset, and dynamic
    tables.
    """
    talk = Talk()
    for number in (1, 3, 5, 7):
        talk.ask(number, "POST", f"/pets/{number}", f"body {number}".encode(), x_id=str(number))
    talk.server.send_headers(3, [(":status", "103"), ("link", "</a.css>")])
    for number in (7, 3, 1):
        talk.answer(number, f"answer {number}".encode() * 40, trailers=number == 3)
    talk.client.reset_stream(5)
    talk.flush()
    for number in (9, 11, 13):
        talk.ask(number, "GET", f"/pets/{number}?q={number}", x_id=str(number))
    for number in (13, 9, 11):
        talk.answer(number, f"answer {number}".encode())
    return talk.wire


WIRE = conversation()
NUMBERS = (1, 3, 5, 7, 9, 11, 13)


def read(
    segments: Holed, whole: bool = True, asking: Direction | None = ASK
) -> tuple[list[Exchange], Counter[str]]:
    """Exchanges and byte counts; a number among the segments is the length of a gap."""
    counts: Counter[str] = Counter()
    streams = Streams(counts, CAP, asking, {ASK: whole, ANSWER: whole})
    told: list[Exchange] = []
    for time_ns, (half, what) in enumerate(segments):
        segment = Gap(time_ns, what, GapReason.LOST) if isinstance(what, int) else Data(time_ns, what)
        streams.receive(half, segment)
        told += streams.drain()
    streams.end(closed=True)
    return told + streams.drain(), counts


def check(exchange: Exchange) -> None:
    """Request and response carry the stream's number in every field: nothing is from another stream."""
    number = str(exchange.ordinal).encode()
    if exchange.request is not None:
        assert exchange.request.target.split(b"?")[0] == b"/pets/" + number
        assert (b"body " + number).startswith(exchange.request.body.data)
    if exchange.response is not None:
        assert dict(exchange.response.headers).get(b"x-number", number) == number
        assert ((b"answer " + number) * 1000).startswith(exchange.response.body.data)


def test_every_stream_is_an_exchange_with_its_own_request_and_response() -> None:
    told, counts = read(list(WIRE))
    assert sorted(exchange.ordinal for exchange in told) == list(NUMBERS)
    by_number = {exchange.ordinal: exchange for exchange in told}
    for number, exchange in by_number.items():
        check(exchange)
        expected = Completeness.NO_RESPONSE if number == 5 else Completeness.COMPLETE
        assert exchange.completeness is expected
    third = by_number[3]
    assert third.request is not None
    assert third.response is not None
    assert third.response.interim == (103,)
    assert third.response.trailers == ((b"grpc-status", b"0"),)
    assert third.request.body.data == b"body 3"
    assert (third.request.authority, third.request.scheme) == (b"pets", b"https")
    assert counts == {Bytes.PARSED: sum(len(data) for _, data in WIRE)}


def test_where_the_bytes_are_cut_makes_no_difference() -> None:
    whole, _ = read(list(WIRE))
    bodies = [(e.ordinal, e.request and e.request.body, e.response and e.response.body) for e in whole]
    for size in (1, 2, 3, 7, 9, 10, 64):
        pieces: Holed = [
            (half, data[at : at + size]) for half, data in WIRE for at in range(0, len(data), size)
        ]
        told, _ = read(pieces)
        assert [
            (e.ordinal, e.request and e.request.body, e.response and e.response.body) for e in told
        ] == bodies, size


def test_a_header_block_over_many_continuations_is_one_block() -> None:
    talk = Talk()
    talk.ask(1, "GET", "/pets/1", b"", **{f"x_{i}": "v" * 1000 for i in range(40)})
    talk.answer(1, b"answer 1")
    (exchange,), _ = read(list(talk.wire))
    assert exchange.request is not None
    assert len(exchange.request.headers) == 40


def test_a_hole_inside_a_body_costs_that_body_only() -> None:
    talk = Talk()
    talk.ask(1, "GET", "/pets/1")
    talk.ask(3, "GET", "/pets/3")
    talk.answer(1, b"answer 1" * 1000)
    talk.answer(3, b"answer 3")
    segments: Holed = []
    for half, data in talk.wire:
        if len(data) > 8000:
            segments += [(half, data[:1000]), (half, 4000), (half, data[5000:])]
        else:
            segments.append((half, data))
    told, _ = read(segments)
    by_number = {exchange.ordinal: exchange for exchange in told}
    holed, intact = by_number[1], by_number[3]
    assert holed.response is not None
    assert holed.response.body.size == 8000
    assert holed.response.body.state is BodyState.GAP
    assert (b"answer 1" * 1000).startswith(holed.response.body.data)
    assert holed.completeness is Completeness.GAP
    assert intact.completeness is Completeness.COMPLETE


def late(skip: int) -> Holed:
    return list(WIRE[skip:])


@pytest.mark.parametrize("skip", range(1, len(WIRE)))
def test_a_late_join_resolves_what_was_inserted_since_and_never_guesses(skip: int) -> None:
    told, _ = read(late(skip), whole=False, asking=None)
    for exchange in told:
        check(exchange)


def test_a_late_join_finds_whole_exchanges_once_their_fields_are_known() -> None:
    talk = Talk()
    for number in range(1, 9, 2):
        talk.ask(number, "POST", f"/pets/{number}", f"body {number}".encode(), x_id=str(number))
        talk.answer(number, f"answer {number}".encode())
    told, _ = read(list(talk.wire[6:]), whole=False, asking=None)
    assert [e.ordinal for e in told if e.completeness is Completeness.COMPLETE][-2:] == [5, 7]


def test_a_late_join_that_meets_the_preface_has_missed_nothing() -> None:
    told, _ = read(list(WIRE), whole=False, asking=None)
    whole, _ = read(list(WIRE))
    assert [(e.ordinal, e.request, e.response) for e in told] == [
        (e.ordinal, e.request, e.response) for e in whole
    ]


@st.composite
def holed(draw: st.DrawFn) -> Holed:
    segments: Holed = []
    for half, data in WIRE:
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, len(data))) if draw(st.integers(0, 4)) == 0 else start
        pieces: Iterator[bytes | int] = iter((data[:start], end - start, data[end:]))
        segments += [(half, piece) for piece in pieces if piece]
    return segments


def test_a_peer_that_has_the_declared_length_may_go_without_the_streams_formal_end() -> None:
    talk = Talk()
    talk.ask(1, "GET", "/pets/1")
    talk.server.send_headers(1, [(":status", "200"), ("content-length", "8")])
    talk.server.send_data(1, b"answer 1")
    talk.flush()
    (exchange,), _ = read(list(talk.wire))
    assert exchange.completeness is Completeness.COMPLETE
    assert exchange.response is not None
    assert exchange.response.end_ns is not None
    assert exchange.response.body.state is BodyState.COMPLETE


def test_a_status_with_any_number_of_digits_is_no_exception() -> None:
    talk = Talk()
    talk.ask(1, "GET", "/pets/1")
    block = talk.server.encoder.encode([(b":status", b"1" * 5000), (b"x-number", b"1")])
    header = len(block).to_bytes(3, "big") + b"\x01\x04" + (1).to_bytes(4, "big")
    (exchange,), _ = read([*talk.wire, (ANSWER, header + block)])
    assert exchange.response is None


@settings(max_examples=300, deadline=None)
@given(holed())
def test_whatever_is_lost_no_stream_gets_what_is_anothers(segments: Holed) -> None:
    told, counts = read(segments)
    for exchange in told:
        check(exchange)
    assert sum(counts.values()) == sum(len(what) for _, what in segments if isinstance(what, bytes))
    assert len({exchange.ordinal for exchange in told}) == len(told)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Direction), st.binary(min_size=1, max_size=80))), st.booleans())
def test_any_bytes_are_exchanges_or_nothing_and_never_an_exception(
    segments: list[tuple[Direction, bytes]], synced: bool
) -> None:
    told, counts = read(list(segments), whole=synced)
    assert isinstance(told, list)
    assert sum(counts.values()) == sum(len(data) for _, data in segments)


def test_grpc_messages_are_counted_and_measured_each_way_and_its_status_read_from_the_trailers() -> None:
    def message(size: int) -> bytes:
        return b"\0" + size.to_bytes(4, "big") + b"m" * size

    talk = Talk()
    talk.ask(1, "POST", "/pets.Pets/List", message(10) + message(0), content_type="application/grpc")
    talk.answer(1, message(3) * 5, trailers=True, content_type="application/grpc+proto")
    for size in (1, 4, 5, 1000):
        pieces: Holed = [
            (half, data[at : at + size]) for half, data in talk.wire for at in range(0, len(data), size)
        ]
        (exchange,), _ = read(pieces)
        assert exchange.grpc is not None
        assert exchange.grpc == Grpc(0, 2, 5, 10, 15, 10, 3)


def test_events_of_a_stream_are_counted_whatever_the_frames() -> None:
    talk = Talk()
    talk.ask(1, "GET", "/events")
    talk.answer(1, b"data: a\n\ndata: b\n\n: c\n\n", content_type="text/event-stream")
    for size in (1, 7, 1000):
        pieces: Holed = [
            (half, data[at : at + size]) for half, data in talk.wire for at in range(0, len(data), size)
        ]
        (exchange,), _ = read(pieces)
        assert exchange.response is not None
        assert exchange.response.body.events == 2


def test_streams_that_never_end_are_bounded() -> None:
    talk = Talk()
    counts: Counter[str] = Counter()
    streams = Streams(counts, CAP, ASK, {ASK: True, ANSWER: True})
    encoder = talk.client.encoder
    streams.receive(ASK, Data(0, WIRE[0][1]))
    for number in range(1, 6000, 2):
        block = encoder.encode([(":method", "GET"), (":scheme", "http"), (":path", f"/pets/{number}")])
        header = len(block).to_bytes(3, "big") + b"\x01\x05" + number.to_bytes(4, "big")
        streams.receive(ASK, Data(number, header + block))
    told = streams.drain()
    assert len(told) == 3000 - 1024
    assert all(exchange.completeness is Completeness.GAP for exchange in told)


def connected(*frames: tuple[str, bytes], answer: str = "200") -> Talk:
    """A WebSocket connection on a stream (RFC 8441), with these frames of the client and the server."""
    talk = Talk()
    talk.server.update_settings({h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
    talk.flush()
    fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/feed")]
    talk.client.send_headers(1, [*fields, (":authority", "pets")], end_stream=False)
    talk.flush()
    talk.server.send_headers(1, [(":status", answer)], end_stream=answer != "200")
    talk.flush()
    for end, frame in frames:
        (talk.client if end == "client" else talk.server).send_data(1, frame)
        talk.flush()
    return talk


HELLO, WORLD = (
    Frame(Opcode.TEXT, b"hello").serialize(mask=True),
    Frame(Opcode.TEXT, b"{}").serialize(mask=False),
)
BYE = Frame(Opcode.CLOSE, b"\x03\xe8")


def test_websocket_on_a_stream_is_counted_and_closed_as_on_a_connection() -> None:
    talk = connected(
        *(("client", HELLO), ("server", WORLD), ("client", BYE.serialize(mask=True))),
        ("server", BYE.serialize(mask=False)),
    )
    talk.client.end_stream(1)
    talk.server.end_stream(1)
    talk.flush()
    whole: Holed = [*talk.wire]
    bytewise: Holed = [(way, data[at : at + 1]) for way, data in talk.wire for at in range(len(data))]
    for pieces in (whole, bytewise):
        (exchange,), _ = read(pieces)
        assert exchange.completeness is Completeness.COMPLETE
        assert exchange.upgraded == b"websocket"
        assert exchange.request is not None
        assert exchange.request.body == EMPTY_BODY  # frames are no body
        found = exchange.websocket
        assert found is not None
        assert found.client == WebSocketCounts(2, 1, 0, 0, 0, 0, 7, 0)
        assert found.server == WebSocketCounts(2, 1, 0, 0, 0, 0, 4, 0)
        assert (found.close_code, found.closed_by) == (1000, Role.CLIENT)


def test_websocket_frames_beyond_what_was_captured_of_a_stream_are_unseen() -> None:
    talk = connected(("client", HELLO), ("client", HELLO))
    talk.client.end_stream(1)
    talk.server.end_stream(1)
    talk.flush()
    holed: Holed = list(talk.wire)
    place = next(at for at, (_, data) in enumerate(talk.wire) if HELLO in data)
    way, data = talk.wire[place]
    holed[place : place + 1] = [(way, data[: -len(HELLO)]), (way, len(HELLO))]
    (exchange,), _ = read(holed)
    assert exchange.websocket is not None
    assert exchange.websocket.client == WebSocketCounts(1, 1, 0, 0, 0, 0, 5, len(HELLO))
    assert exchange.websocket.close_code is None


def test_a_refused_connection_is_no_websocket() -> None:
    talk = connected(answer="403")
    talk.client.end_stream(1)
    talk.flush()
    (exchange,), _ = read([*talk.wire])
    assert exchange.websocket is None
