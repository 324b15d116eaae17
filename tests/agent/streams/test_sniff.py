"""The protocol by its first bytes, and where a message may start after a gap."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.ledger import Bytes
from agent.streams.half import Data
from agent.streams.sniff import MAX_START_LINE, Search, TrafficKind, sniff, sniff_start

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STARTS = [
    (b"GET / HTTP/1.1\r\n", TrafficKind.REQUEST),
    (b"GET / HTTP/1.0\n", TrafficKind.REQUEST),
    (b"\r\nPOST http://h/a HTTP/1.1\r\n", TrafficKind.REQUEST),
    (b"OPTIONS * HTTP/1.1\r\n", TrafficKind.REQUEST),
    (b"CONNECT h:443 HTTP/1.1\r\n", TrafficKind.REQUEST),
    (b"x-own /caf\xe9 HTTP/1.1\r\n", TrafficKind.REQUEST),
    (b"HTTP/1.1 200 OK\r\n", TrafficKind.RESPONSE),
    (b"HTTP/1.0 404\r\n", TrafficKind.RESPONSE),
    (PREFACE, TrafficKind.HTTP2),
    (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", TrafficKind.HTTP2),
    (b"\x16\x03\x01\x02\x00", TrafficKind.TLS),
    (b"\x17\x03\x03\x00\x20", TrafficKind.TLS),
    (b"SSH-2.0-OpenSSH_9.2\r\n", TrafficKind.OTHER),
    (b"220 mail ESMTP\r\n", TrafficKind.OTHER),
    (b"get key\r\n", TrafficKind.OTHER),
    (b"*1\r\n$4\r\nPING\r\n", TrafficKind.OTHER),
    (b"\x00\x00\x00\x55\x00\x03\x00\x00user", TrafficKind.OTHER),
    (b"HTTP/2.0 200 OK\r\n", TrafficKind.OTHER),
    (b"{}", TrafficKind.OTHER),
]


@pytest.mark.parametrize(("head", "kind"), STARTS)
def test_first_bytes(head: bytes, kind: TrafficKind) -> None:
    assert sniff(head) is kind


@pytest.mark.parametrize(("head", "kind"), [s for s in STARTS if s[1] is not TrafficKind.OTHER])
def test_every_prefix_is_undecided_or_right(head: bytes, kind: TrafficKind) -> None:
    told = [sniff(head[:end]) for end in range(len(head))]
    assert set(told) <= {TrafficKind.UNDECIDED, kind}
    assert told[0] is TrafficKind.UNDECIDED


def test_a_long_target_is_told_before_its_line_ends() -> None:
    assert sniff(b"GET /" + b"a" * 20_000) is TrafficKind.REQUEST


def test_a_line_without_end_is_given_up() -> None:
    assert sniff(b"word " + b"a" * MAX_START_LINE) is TrafficKind.OTHER


def test_after_a_hole_only_known_methods_start_a_request() -> None:
    assert sniff_start(b"GET / HTTP/1.1\r\n") is TrafficKind.REQUEST
    assert sniff_start(b"abcGET / HTTP/1.1\r\n") is TrafficKind.OTHER
    assert sniff_start(b"lorem ipsum dolor") is TrafficKind.OTHER


def test_search_finds_a_start_at_a_segment_and_counts_what_it_passes() -> None:
    counts: Counter[str] = Counter()
    search = Search(counts)
    assert search.offer(Data(1, b"tail of a body GET / HTTP/1.1\r\n")) is TrafficKind.OTHER
    assert search.offer(Data(2, b"GET / HTTP/1.1\r\n")) is TrafficKind.REQUEST
    assert search.pop() == [Data(2, b"GET / HTTP/1.1\r\n")]
    assert counts[Bytes.UNSYNCED] == search.passed == 31


def test_search_joins_segments_too_short_to_tell() -> None:
    search = Search(Counter())
    kinds = [search.offer(Data(n, b"HTTP/1.1 200 OK"[n : n + 1])) for n in range(13)]
    assert kinds == [TrafficKind.UNDECIDED] * 12 + [TrafficKind.RESPONSE]
    assert search.joined == b"HTTP/1.1 200 "


def test_a_word_before_a_start_does_not_hide_it() -> None:
    search = Search(Counter())
    assert search.offer(Data(1, b"tail")) is TrafficKind.UNDECIDED
    assert search.offer(Data(2, b"HTTP/1.1 200 OK\r\n")) is TrafficKind.RESPONSE
    assert search.pop() == [Data(2, b"HTTP/1.1 200 OK\r\n")]
    assert search.passed == 4


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20))
def test_search_counts_or_holds_every_byte(pieces: list[bytes]) -> None:
    counts: Counter[str] = Counter()
    search = Search(counts)
    for n, piece in enumerate(pieces):
        search.offer(Data(n, piece))
    held = sum(len(segment.data) for segment in search.pop())
    assert counts[Bytes.UNSYNCED] + held == sum(map(len, pieces))
