"""What first bytes are, and where a message may start after a hole."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.ledger import Bytes
from agent.streams.half import Data
from agent.streams.sniff import MAX_START_LINE, Kind, Search, sniff, sniff_start

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STARTS = [
    (b"GET / HTTP/1.1\r\n", Kind.REQUEST),
    (b"GET / HTTP/1.0\n", Kind.REQUEST),
    (b"\r\nPOST http://h/a HTTP/1.1\r\n", Kind.REQUEST),
    (b"OPTIONS * HTTP/1.1\r\n", Kind.REQUEST),
    (b"CONNECT h:443 HTTP/1.1\r\n", Kind.REQUEST),
    (b"x-own /caf\xe9 HTTP/1.1\r\n", Kind.REQUEST),
    (b"HTTP/1.1 200 OK\r\n", Kind.RESPONSE),
    (b"HTTP/1.0 404\r\n", Kind.RESPONSE),
    (PREFACE, Kind.HTTP2),
    (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", Kind.HTTP2),
    (b"\x16\x03\x01\x02\x00", Kind.TLS),
    (b"\x17\x03\x03\x00\x20", Kind.TLS),
    (b"SSH-2.0-OpenSSH_9.2\r\n", Kind.OTHER),
    (b"220 mail ESMTP\r\n", Kind.OTHER),
    (b"get key\r\n", Kind.OTHER),
    (b"*1\r\n$4\r\nPING\r\n", Kind.OTHER),
    (b"\x00\x00\x00\x55\x00\x03\x00\x00user", Kind.OTHER),
    (b"HTTP/2.0 200 OK\r\n", Kind.OTHER),
    (b"{}", Kind.OTHER),
]


@pytest.mark.parametrize(("head", "kind"), STARTS)
def test_first_bytes(head: bytes, kind: Kind) -> None:
    assert sniff(head) is kind


@pytest.mark.parametrize(("head", "kind"), [s for s in STARTS if s[1] is not Kind.OTHER])
def test_every_prefix_is_undecided_or_right(head: bytes, kind: Kind) -> None:
    told = [sniff(head[:end]) for end in range(len(head))]
    assert set(told) <= {Kind.UNDECIDED, kind}
    assert told[0] is Kind.UNDECIDED


def test_a_long_target_is_told_before_its_line_ends() -> None:
    assert sniff(b"GET /" + b"a" * 20_000) is Kind.REQUEST


def test_a_line_without_end_is_given_up() -> None:
    assert sniff(b"word " + b"a" * MAX_START_LINE) is Kind.OTHER


def test_after_a_hole_only_known_methods_start_a_request() -> None:
    assert sniff_start(b"GET / HTTP/1.1\r\n") is Kind.REQUEST
    assert sniff_start(b"abcGET / HTTP/1.1\r\n") is Kind.OTHER
    assert sniff_start(b"lorem ipsum dolor") is Kind.OTHER


def test_search_finds_a_start_at_a_segment_and_counts_what_it_passes() -> None:
    counts: Counter[str] = Counter()
    search = Search(counts)
    assert search.offer(Data(1, b"tail of a body GET / HTTP/1.1\r\n")) is Kind.OTHER
    assert search.offer(Data(2, b"GET / HTTP/1.1\r\n")) is Kind.REQUEST
    assert search.take() == [Data(2, b"GET / HTTP/1.1\r\n")]
    assert counts[Bytes.UNSYNCED] == search.passed == 31


def test_search_joins_segments_too_short_to_tell() -> None:
    search = Search(Counter())
    kinds = [search.offer(Data(n, b"HTTP/1.1 200 OK"[n : n + 1])) for n in range(13)]
    assert kinds == [Kind.UNDECIDED] * 12 + [Kind.RESPONSE]
    assert search.joined == b"HTTP/1.1 200 "


def test_a_word_before_a_start_does_not_hide_it() -> None:
    search = Search(Counter())
    assert search.offer(Data(1, b"tail")) is Kind.UNDECIDED
    assert search.offer(Data(2, b"HTTP/1.1 200 OK\r\n")) is Kind.RESPONSE
    assert search.take() == [Data(2, b"HTTP/1.1 200 OK\r\n")]
    assert search.passed == 4


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20))
def test_search_counts_or_holds_every_byte(pieces: list[bytes]) -> None:
    counts: Counter[str] = Counter()
    search = Search(counts)
    for n, piece in enumerate(pieces):
        search.offer(Data(n, piece))
    held = sum(len(segment.data) for segment in search.take())
    assert counts[Bytes.UNSYNCED] + held == sum(map(len, pieces))
