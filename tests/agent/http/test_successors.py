"""A row in SUCCESSORS is enough to add a protocol that follows an upgrade."""

from __future__ import annotations

import pytest

from agent.events import Direction, Role
from agent.http import http1
from agent.http.conversation import Handover, Shared
from agent.http.messages import Exchange
from agent.ledger import Bytes
from agent.streams.half import Data, Segment
from tests.agent.http.talks import C, S, Steps, chunks, tell

ASK = b"GET /%d HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: chess\r\n\r\n"
YES = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chess\r\n\r\n"


class Chess:
    """A conversation that keeps the bytes it receives."""

    role = Role.CLIENT
    successor = None
    verdict = None
    waiting = False
    held = 0

    def __init__(self, shared: Shared, handover: Handover) -> None:
        self._shared = shared
        self.handover = handover
        self.received: list[tuple[Direction, bytes]] = []
        for direction, half in handover.halves.items():
            self.receive(direction, half.unread, 0)

    def receive(self, direction: Direction, segments: list[Segment], now_ns: int) -> list[Exchange]:
        for segment in segments:
            assert isinstance(segment, Data)
            self._shared.counts[Bytes.PARSED] += len(segment.data)
            self.received.append((direction, segment.data))
        return []

    def advance(self, now_ns: int) -> list[Exchange]:
        return [] if self.handover.upgrade is None else [self.handover.upgrade]

    def end(self, *, closed: bool, leftover: Bytes) -> list[Exchange]:
        return []


def test_a_successor_is_given_the_exchange_that_led_to_it_and_every_byte_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Chess] = []

    def chess(shared: Shared, handover: Handover) -> Chess:
        made.append(Chess(shared, handover))
        return made[-1]

    monkeypatch.setattr(http1, "SUCCESSORS", {b"chess": chess})
    steps: Steps = [(C, ASK % 1 + b"e2e4"), (S, YES + b"e7e5"), (C, b"g1f3")]
    told = tell(chunks(steps))
    (one,) = made
    assert one.handover.request_direction is C
    assert [exchange.upgraded for exchange in told.exchanges] == [b"chess"]
    assert one.received == [(C, b"e2e4"), (S, b"e7e5"), (C, b"g1f3")]
    assert told.ledger.bytes == {Bytes.PARSED: sum(len(data) for _, data in steps)}
    assert told.dismissed == []
