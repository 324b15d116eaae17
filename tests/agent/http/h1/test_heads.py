"""Heads that come again are read from memory: the same facts, the same body, and nothing kept of one-offs."""

from __future__ import annotations

from collections import Counter

import h11

from agent.http.h1 import heads
from agent.http.h1.heads import MAX_ONCE, MAX_REMEMBERED, MAX_REMEMBERED_LENGTH, Refused
from tests.agent.http.talks import C, S, chunks, tell

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_head_is_remembered_from_its_second_coming_on_and_says_the_same() -> None:
    raw = b"GET /remembered?t=1 HTTP/1.1\r\nHost:pets\r\nX-Many: a\r\nX-Many: b\r\n\r\n"
    first, second, third = (heads.read_request(raw) for _ in range(3))
    assert not isinstance(first, Refused)
    assert not isinstance(second, Refused)
    assert not isinstance(third, Refused)
    assert first[0] == second[0] == third[0]
    assert first[1] is not None
    assert second[1] is not None
    assert third[1] is None


def test_a_chunked_body_behind_a_remembered_head_is_read_as_ever() -> None:
    raw = CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"
    call = [(C, b"GET /again HTTP/1.1\r\nHost: a\r\n\r\n"), (S, raw)]
    responses = [exchange.response for exchange in tell(chunks(call * 4)).exchanges]
    assert [response and response.body.data for response in responses] == [b"abc"] * 4


def test_a_head_that_is_refused_is_refused_each_time() -> None:
    raw = b"GET /  HTTP/1.1\r\nHost : x\r\n\r\n"
    assert heads.read_request(raw) == heads.read_request(raw) == heads.read_request(raw)
    assert isinstance(heads.read_request(raw), Refused)


def test_what_came_once_or_is_long_is_not_kept_and_all_is_bounded() -> None:
    reads: Counter[bytes] = Counter()

    def fresh(raw: bytes) -> tuple[heads.ResponseHead, h11.Connection]:
        reads[raw] += 1
        return heads.ResponseHead(200, b"1.1", ()), h11.Connection(h11.CLIENT)

    memory = heads._Repeated(fresh)
    for number in range(2 * MAX_ONCE):
        memory.read(b"%d" % number)
    assert not memory._heads
    for number in range(2 * MAX_REMEMBERED):
        for _ in range(3):
            memory.read(b"again %d" % number)
    assert set(reads.values()) == {1, 2}
    assert len(memory._heads) <= MAX_REMEMBERED
    assert len(memory._once) <= MAX_ONCE
    long = bytes(MAX_REMEMBERED_LENGTH + 1)
    for _ in range(3):
        memory.read(long)
    assert reads[long] == 3
