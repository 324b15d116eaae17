"""After CONNECT: the exchange once, and the bytes by what they begin as."""

from __future__ import annotations

from collections import Counter

import pytest

from agent.events import Direction, Role
from agent.http.conversation import HalfStart, Handover, Shared
from agent.http.h1.memory import Heads
from agent.http.messages import Completeness, Exchange
from agent.http.tunnel import Tunnel
from agent.ledger import Bytes
from agent.streams.half import Data, Gap, GapReason

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
CONNECT = Exchange(0, None, None, Completeness.COMPLETE, upgraded=b"CONNECT")


def tunnel(unread: bytes = b"") -> tuple[Tunnel, Counter[str]]:
    counts: Counter[str] = Counter()
    halves = {
        SENT: HalfStart(True, None, [Data(1, unread)] if unread else []),
        RECEIVED: HalfStart(True, None, []),
    }
    return Tunnel(Shared(counts, 100, Heads()), Handover(SENT, False, halves, CONNECT)), counts


def test_the_connect_exchange_is_returned_once_and_its_role_stays() -> None:
    made, _ = tunnel()
    assert made.role is Role.CLIENT
    assert made.advance(1) == [CONNECT]
    assert made.advance(2) == made.end(closed=True, leftover=Bytes.OPAQUE) == []
    assert made.verdict is None  # nothing passed


@pytest.mark.parametrize("way", [SENT, RECEIVED])
@pytest.mark.parametrize(
    ("first", "bucket"),
    [
        (b"\x16\x03\x01\x02\x00\x01", Bytes.TLS_CIPHERTEXT),
        (b"GET / HTTP/1.1", Bytes.OPAQUE),
        (b"220 x", Bytes.OPAQUE),
    ],
)
def test_the_first_bytes_of_either_half_decide(way: Direction, first: bytes, bucket: Bytes) -> None:
    made, counts = tunnel()
    made.receive(way, [Data(1, first), Data(2, b"more")], 2)
    assert made.verdict is bucket
    assert counts == {bucket: len(first) + 4}


def test_bytes_that_came_with_the_request_are_the_tunnels() -> None:
    made, counts = tunnel(b"\x16\x03\x01")
    assert (made.verdict, counts) == (Bytes.TLS_CIPHERTEXT, {Bytes.TLS_CIPHERTEXT: 3})


def test_a_gap_decides_nothing() -> None:
    made, counts = tunnel()
    made.receive(SENT, [Gap(1, 5, GapReason.LOST)], 1)
    assert (made.verdict, counts) == (None, {})
