"""After an upgrade to WebSocket: one exchange, when it is over, with what each end sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from websockets.frames import Frame, Opcode

from agent.events import Chunk, Direction, Role, Tick
from agent.http.conversation import HalfStart, Handover, Shared
from agent.http.h1.memory import Heads
from agent.http.messages import Completeness, Exchange, WebSocketCounts, WebSocketSeen
from agent.http.websocket import OPEN_NS, WebSockets
from agent.ledger import Bytes
from agent.streams.half import Data
from tests.agent.http.talks import STEP_NS, C, S, Steps, bytewise, chunks, recut, tell

ASK = b"GET /feed HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
YES = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def client(data: bytes, opcode: Opcode = Opcode.TEXT) -> tuple[Direction, bytes]:
    return C, Frame(opcode, data).serialize(mask=True)


def server(data: bytes, opcode: Opcode = Opcode.TEXT) -> tuple[Direction, bytes]:
    return S, Frame(opcode, data).serialize(mask=False)


TALK: Steps = [
    (C, ASK),
    (S, YES),
    client(b"hello"),
    server(b"12345678", Opcode.BINARY),
    server(b"?", Opcode.PING),
    client(b"?", Opcode.PONG),
    client(b"\x03\xe8bye", Opcode.CLOSE),
    server(b"\x03\xe8", Opcode.CLOSE),
]
EXPECTED = WebSocketSeen(
    client=WebSocketCounts(3, 1, 0, 0, 1, 0, 11, 0),
    server=WebSocketCounts(3, 0, 1, 1, 0, 0, 11, 0),
    close_code=1000,
    closed_by=Role.CLIENT,
    end_ns=8 * STEP_NS,
)


def connection(exchanges: list[Exchange]) -> WebSocketSeen:
    (one,) = exchanges
    assert one.completeness is Completeness.COMPLETE
    assert one.upgraded == b"websocket"
    assert one.websocket is not None
    return one.websocket


def test_the_exchange_that_asked_has_what_followed() -> None:
    told = tell(chunks(TALK))
    assert connection(told.exchanges) == EXPECTED
    assert told.ledger.bytes == {Bytes.PARSED: sum(len(data) for _, data in TALK)}
    assert told.dismissed == [Bytes.OPAQUE]


def test_wherever_the_bytes_are_cut_the_counts_are_equal() -> None:
    made = chunks(TALK)
    assert connection(tell(bytewise(made)).exchanges) == EXPECTED
    for at in range(1, sum(len(data) for _, data in TALK)):
        assert connection(tell(recut(made, at)).exchanges) == EXPECTED


def test_frames_that_share_a_segment_with_the_answer_are_counted() -> None:
    steps = [(C, ASK), (S, YES + TALK[3][1]), *TALK[2:3], *TALK[4:]]
    found = connection(tell(chunks(steps)).exchanges)
    assert found == replace(EXPECTED, end_ns=7 * STEP_NS)


def test_it_is_reported_at_the_second_close_frame() -> None:
    open_ = tell(chunks(TALK[:-1]), closed=False)
    assert open_.dismissed == []
    assert tell(chunks(TALK), closed=False).dismissed == [Bytes.OPAQUE]


@pytest.mark.parametrize(
    ("closed", "code"),
    [(True, 1006), (False, None)],  # an end without a Close frame; still open when the agent stops
)
def test_an_end_without_a_close_frame_is_told_from_none(closed: bool, code: int | None) -> None:
    found = connection(tell(chunks(TALK[:4]), closed=closed).exchanges)
    assert (found.close_code, found.closed_by) == (code, None)


def test_the_first_close_frame_tells_who_closed() -> None:
    steps = [*TALK[:2], server(b"\x03\xf1", Opcode.CLOSE), client(b"\x03\xe8", Opcode.CLOSE)]
    found = connection(tell(chunks(steps)).exchanges)
    assert (found.close_code, found.closed_by) == (1009, Role.SERVER)


def test_lost_frames_are_unseen_and_an_end_after_them_is_not_known() -> None:
    made = [chunk for number, chunk in enumerate(chunks(TALK[:6])) if number != 3]
    found = connection(tell([*made, Tick(10**9)]).exchanges)
    assert found.server == WebSocketCounts(1, 0, 0, 1, 0, 0, 1, len(TALK[3][1]))
    assert found.client == WebSocketCounts(2, 1, 0, 0, 1, 0, 6, 0)
    assert found.close_code is None


def open_for(ns: int) -> Iterator[Chunk]:
    """A connection whose server speaks every five minutes."""
    yield from chunks(TALK[:2])
    position, ping = len(YES), TALK[4][1]
    for at in range(300 * 10**9, ns, 300 * 10**9):
        yield replace(chunks([(S, ping)])[0], position=position, time_ns=at)
        position += len(ping)


def test_a_connection_that_stays_open_is_reported_after_an_hour() -> None:
    told = tell(open_for(2 * OPEN_NS), closed=False)
    assert connection(told.exchanges).server.pings == 13
    assert told.dismissed == [Bytes.OPAQUE]
    assert told.ledger.bytes[Bytes.OPAQUE] == 10 * len(TALK[4][1])
    assert told.held == 0


def test_an_idle_connection_is_reported_and_its_further_bytes_are_opaque() -> None:
    made = chunks([*TALK[:4], *TALK[4:5]])
    late = replace(made[-1], time_ns=made[-1].time_ns + 10**12)
    told = tell([*made[:-1], Tick(made[-2].time_ns + 600 * 10**9), late])
    assert connection(told.exchanges).close_code is None
    assert told.dismissed == [Bytes.OPAQUE]
    assert told.ledger.bytes[Bytes.OPAQUE] == len(TALK[4][1])


def test_bytes_that_are_no_frames_end_the_reading() -> None:
    junk = b"\xff" * 70_000
    told = tell(chunks([*TALK[:2], *[(S, junk)] * 20]))
    assert connection(told.exchanges).server.unseen > 1 << 20
    assert told.dismissed == [Bytes.OPAQUE]
    assert sum(told.ledger.bytes.values()) == len(ASK + YES) + 20 * len(junk)


def test_an_upgrade_whose_request_was_not_seen_is_opaque() -> None:
    told = tell(chunks([(S, YES), *TALK[3:5]], from_start=False), opened=False)
    assert [one.websocket for one in told.exchanges] == [None]
    assert told.ledger.bytes[Bytes.OPAQUE] > 0


@pytest.mark.parametrize("cap", [0, 10])
def test_texts_are_kept_only_if_asked_for(cap: int) -> None:
    steps = [*TALK[:2], client(b'{"a": 1}'), server(b"[2]"), *TALK[6:]]
    found = connection(tell(chunks(steps), text_cap=cap).exchanges)
    expected = [(Role.CLIENT, b'{"a": 1}', 3 * STEP_NS), (Role.SERVER, b"[2]", 4 * STEP_NS)]
    assert [(text.sender, text.data, text.time_ns) for text in found.texts] == (expected if cap else [])


def test_an_open_connection_states_its_memory_so_that_the_table_can_bound_it() -> None:
    upgrade = tell(chunks(TALK)).exchanges[0]
    halves = {way: HalfStart(True, None, []) for way in (C, S)}
    found = WebSockets(Shared(Counter(), 0, Heads(), 1 << 16), Handover(C, False, halves, upgrade))
    before = found.held
    text = Frame(Opcode.TEXT, b"[" + b"1" * 60_000, fin=False).serialize(mask=True)
    found.receive(C, [Data(1, text)], 1)
    assert 0 < before < found.held - 60_000
