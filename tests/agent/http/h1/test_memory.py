"""Repeated heads are read from memory: with the same facts and body. Heads that occur once, or are longer
than the bound of their table, are not kept.
"""

from __future__ import annotations

import gc
from collections import Counter

import h11

from agent.http.connections import connections
from agent.http.h1 import heads, memory
from agent.http.h1.heads import Refused
from agent.http.h1.memory import MAX_ONCE, MAX_REMEMBERED, MAX_REMEMBERED_LENGTH
from agent.ledger import Ledger
from agent.streams.table import Limits
from tests.agent.http.talks import C, S, chunks, tell

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_head_is_remembered_from_its_second_coming_on_and_says_the_same() -> None:
    raw = b"GET /remembered?t=1 HTTP/1.1\r\nHost:pets\r\nX-Many: a\r\nX-Many: b\r\n\r\n"
    read = memory.Heads().request
    first, second, third = (read(raw) for _ in range(3))
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
    read = memory.Heads().request
    assert read(raw) == read(raw) == read(raw)
    assert isinstance(read(raw), Refused)


def test_what_came_once_or_is_long_is_not_kept_and_all_is_bounded() -> None:
    reads: Counter[bytes] = Counter()

    def fresh(raw: bytes) -> tuple[heads.ResponseHead, h11.Connection]:
        reads[raw] += 1
        return heads.ResponseHead(200, b"1.1", ()), h11.Connection(h11.CLIENT)

    recurring = memory.Recurring(fresh)
    for number in range(2 * MAX_ONCE):
        recurring.read(b"%d" % number)
    assert not recurring._heads
    for number in range(2 * MAX_REMEMBERED):
        for _ in range(3):
            recurring.read(b"again %d" % number)
    assert set(reads.values()) == {1, 2}
    assert len(recurring._heads) <= MAX_REMEMBERED
    assert len(recurring._once) <= MAX_ONCE
    long = bytes(MAX_REMEMBERED_LENGTH + 1)
    for _ in range(3):
        recurring.read(long)
    assert reads[long] == 3


def test_no_head_outlives_the_table_of_connections_that_it_was_captured_on() -> None:
    mark = b"kept-in-memory-by-nobody"
    call = [
        (C, b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % mark),
        (S, b"HTTP/1.1 204 N\r\nX: %b\r\n\r\n" % mark),
    ]
    table = connections(Limits(), 65536, Ledger())
    assert sum(len(table.feed(chunk)) for chunk in chunks(call * 4)) == 4
    assert remembered(mark) == 2
    del table
    assert remembered(mark) == 0


def remembered(mark: bytes) -> int:
    """The keys with these bytes in any dict of this process."""
    gc.collect()
    dicts = [one for one in gc.get_objects() if type(one) is dict]
    return sum(isinstance(key, bytes) and mark in key for one in dicts for key in one)
