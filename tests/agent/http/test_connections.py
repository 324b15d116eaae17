"""Gaps, roles, bounds and hostile connections, from events to exchanges."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import Chunk, Closed, ConnectionKey, Direction, Opened, Role
from agent.http.connections import connections
from agent.http.http1 import HOLD_BYTES
from agent.http.messages import Body, BodyState, Completeness
from agent.ledger import Bytes, Ledger
from agent.streams.half import Window
from agent.streams.sniff import SEARCH_BYTES
from agent.streams.table import Limits
from tests.agent.http.talks import KEY, C, S, Seen, chunk, chunks, seen_in, tell

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
BODY = bytes(n % 251 for n in range(1000))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
NEXT = [(C, GET), (S, b"HTTP/1.1 204 No Content\r\n\r\n")]


def body_of(made: list[Chunk], cap: int = 65536) -> tuple[Body, Completeness]:
    exchange = tell(made, cap=cap).exchanges[0]
    assert exchange.response is not None
    return exchange.response.body, exchange.completeness


def test_a_lost_chunk_inside_a_body_of_known_length_breaks_nothing_else() -> None:
    made = chunks([(C, GET), (S, OK + BODY[:300]), (S, BODY[300:500]), (S, BODY[500:]), *NEXT])
    told = tell([c for c in made if c is not made[2]])
    assert [x.completeness for x in told.exchanges] == [Completeness.GAP, Completeness.COMPLETE]
    first = told.exchanges[0].response
    assert first is not None
    assert first.body == Body(1000, BODY[:300], BodyState.GAP)


def test_what_the_kernel_did_not_copy_is_truncated_or_unseen() -> None:
    made = chunks([(C, GET), (S, OK), (S, BODY), *NEXT])
    some = [replace(c, data=c.data[:400]) if c is made[2] else c for c in made]
    none = [replace(c, data=b"") if c is made[2] else c for c in made]
    assert body_of(some) == (Body(1000, BODY[:400], BodyState.TRUNCATED), Completeness.TRUNCATED)
    assert body_of(none) == (Body(1000, b"", BodyState.UNSEEN), Completeness.TRUNCATED)
    assert tell(none).exchanges[1].completeness is Completeness.COMPLETE
    assert tell(none).ledger.bytes[Bytes.UNCAPTURED] == 1000


def test_what_the_kernel_left_out_beyond_the_cap_truncates_that_body_and_no_other() -> None:
    made = chunks([(C, GET), (S, OK), (S, BODY), *NEXT])
    some = [replace(c, data=c.data[:400], capped=True) if c is made[2] else c for c in made]
    for cap in (400, 100, 0):
        told = tell(some, cap=cap)
        assert body_of(some, cap=cap) == (Body(1000, BODY[:cap], BodyState.TRUNCATED), Completeness.TRUNCATED)
        assert told.exchanges[1].completeness is Completeness.COMPLETE
        assert told.ledger.bytes[Bytes.CAPPED] == 600
        assert told.ledger.bytes[Bytes.UNCAPTURED] == told.ledger.bytes[Bytes.UNSYNCED] == 0


def test_a_hole_in_a_chunked_body_leaves_size_unknown_and_the_next_exchange_whole() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    made = chunks([(C, GET), (S, head + b"4\r\nabcd\r\n"), (S, b"4\r\nefgh\r\n"), (S, b"0\r\n\r\n"), *NEXT])
    told = tell([c for c in made if c is not made[2]])
    first = told.exchanges[0].response
    assert first is not None
    assert first.body == Body(None, b"abcd", BodyState.GAP)
    assert [x.completeness for x in told.exchanges] == [Completeness.GAP, Completeness.COMPLETE]
    assert told.ledger.bytes[Bytes.UNSYNCED] == len(b"0\r\n\r\n")


def calls_with_lengths_alone(left_out: list[bool], *, whole_calls: bool) -> list[tuple[bytes, bytes]]:
    """Target and answer of each pair that is found, if of some messages only the length is known."""
    calls = len(left_out) // (1 if whole_calls else 2)
    talk = []
    for number in range(calls):
        answer = b"%d" % number
        talk.append((C, b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % answer))
        talk.append((S, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer)))
    gone = [each for each in left_out for _ in range(2)] if whole_calls else left_out
    made = [replace(one, data=b"") if out else one for one, out in zip(chunks(talk), gone, strict=False)]
    return [
        (x.request.target, x.response.body.data)
        for x in tell(made).exchanges
        if x.request is not None and x.response is not None
    ]


@given(st.lists(st.booleans(), min_size=2, max_size=40))
def test_of_calls_whose_length_alone_is_known_at_times_all_others_are_paired(left_out: list[bool]) -> None:
    found = calls_with_lengths_alone(left_out, whole_calls=True)
    assert found == [(b"/%d" % n, b"%d" % n) for n, is_out in enumerate(left_out) if not is_out]


@given(st.lists(st.booleans(), min_size=2, max_size=40))
def test_of_messages_whose_length_alone_is_known_at_times_none_is_paired_wrongly(
    left_out: list[bool],
) -> None:
    found = calls_with_lengths_alone(left_out, whole_calls=False)
    assert [target for target, _ in found] == [b"/" + answer for _, answer in found]


def test_a_huge_uncaptured_body_costs_nothing() -> None:
    size = 1 << 40
    head = chunk(S, 0, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, 2)
    rest = replace(chunk(S, head.length, b"", 3), length=size)
    tracemalloc.start()
    try:
        told = tell([chunk(C, 0, GET, 1), head, rest])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    response = told.exchanges[0].response
    assert response is not None
    assert (response.body.size, response.body.state) == (size, BodyState.UNSEEN)
    assert peak < 1 << 20


@pytest.mark.parametrize(("asks", "role"), [(Direction.SENT, Role.CLIENT), (Direction.RECEIVED, Role.SERVER)])
def test_who_sends_requests_is_the_client_whatever_the_source_says(asks: Direction, role: Role) -> None:
    other = Direction.RECEIVED if asks is Direction.SENT else Direction.SENT
    told = tell(chunks([(asks, GET), (other, OK + BODY)]))  # opened as a client's
    assert [seen.role for seen in told.seen] == [role]


def test_a_late_join_without_any_message_is_given_up() -> None:
    made = chunks([(C, b"\x01" * 65536) for _ in range(SEARCH_BYTES // 65536 + 5)], from_start=False)
    told = tell(made, opened=False)
    assert told.dismissed == [Bytes.NOT_HTTP]
    assert set(told.ledger.bytes) == {Bytes.UNSYNCED, Bytes.NOT_HTTP}
    assert sum(told.ledger.bytes.values()) == sum(c.length for c in made)


def test_a_connection_that_has_spoken_http_is_not_given_up() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    noise = [(S, b"\x01" * 65536) for _ in range(SEARCH_BYTES // 65536 + 5)]
    made = chunks([(C, GET), (S, head), (S, b"4\r\nabcd\r\n"), *noise, *NEXT])
    told = tell([c for c in made if c is not made[2]])
    assert told.dismissed == []
    assert told.exchanges[-1].completeness is Completeness.COMPLETE


def test_after_an_upgrade_the_bytes_are_opaque_and_the_source_hears() -> None:
    ask = GET.replace(b"\r\n\r\n", b"\r\nUpgrade: irc\r\n\r\n")
    say = b"HTTP/1.1 101 Switching\r\nUpgrade: irc\r\n\r\n"
    told = tell(chunks([(C, ask), (C, b"\x81\x00"), (S, say + b"\x81\x01x"), (S, b"GET / HTTP/1.1\r\n\r\n")]))
    assert told.dismissed == [Bytes.OPAQUE]
    assert told.ledger.bytes == {Bytes.PARSED: len(ask + say), Bytes.OPAQUE: 2 + 3 + 18}
    assert len(told.exchanges) == 1


def test_requests_after_a_declined_upgrade_are_read() -> None:
    ask = GET.replace(b"\r\n\r\n", b"\r\nUpgrade: h2c\r\n\r\n")
    told = tell(chunks([(C, ask), (C, GET), (S, OK + BODY), NEXT[1]]))
    assert [x.completeness for x in told.exchanges] == [Completeness.COMPLETE] * 2


def test_stopping_to_watch_is_not_the_connections_end() -> None:
    told = tell(chunks([(C, GET)]), closed=False)
    assert [x.completeness for x in told.exchanges] == [Completeness.GAP]
    told = tell(chunks([(C, GET), (S, b"HTTP/1.1 200 OK\r\n\r\npart")]), closed=False)
    assert [x.completeness for x in told.exchanges] == [Completeness.GAP]


def test_one_connection_never_speaks_for_another() -> None:
    table = connections(Limits(), 65536, Ledger())
    keys = [replace(KEY, generation=n) for n in range(20)]
    seen: list[Seen] = []
    for key in keys:
        ask = GET.replace(b"/a", b"/%d" % key.generation)
        seen += seen_in(table.feed(replace(chunk(C, 0, ask, 1), connection=key)))
    for key in reversed(keys):
        say = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%02d" % key.generation
        seen += seen_in(table.feed(replace(chunk(S, 0, say, 2), connection=key)))
    for one in seen:
        assert one.exchange.request is not None
        assert one.exchange.response is not None
        number = one.connection.generation
        assert one.exchange.request.target == b"/%d" % number
        assert one.exchange.response.body.data == b"%02d" % number
    assert len(seen) == 20


FLOODS = {
    "heads that never end": [(C, b"GET /a HTTP/1.1\r\n"), *[(C, b"X: " + b"a" * 4000 + b"\r\n")] * 40],
    "bodies byte by byte": [
        (C, b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\n"),
        *[(C, b"x")] * 3000,
    ],
    "responses nobody asked for": [(S, OK + BODY)] * 100,
    "requests nobody answers": [(C, b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + BODY)]
    * 100,
    "tunnel before its answer": [
        (C, b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n"),
        *[(C, b"\x16" * 1000)] * 200,
    ],
    "a word byte by byte": [(C, b"w")] * 3000,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_memory_is_bounded_over_many_hostile_connections(flood: list[tuple[Direction, bytes]]) -> None:
    """Bounds count payload; the objects around it may take a small multiple."""
    held = 1 << 20
    limits = Limits(connections=200, held_bytes=held, window=Window(bytes=1 << 16))
    ledger = Ledger()
    table = connections(limits, 65536, ledger)
    total = 0
    tracemalloc.start()
    try:
        for n in range(40):
            key = ConnectionKey("socket", n, 1)
            for _ in table.feed(Opened(0, key, None, None, None)):
                pass
            for piece in chunks(flood):
                total += piece.length
                list(table.feed(replace(piece, connection=key)))
            assert table.held <= held
        now, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert now < 8 * held
    list(table.finish(1 << 40))
    assert sum(ledger.bytes.values()) == total


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_is_told_in_full_when_it_is_closed(flood: list[tuple[Direction, bytes]]) -> None:
    told = tell(chunks(flood))
    assert sum(told.ledger.bytes.values()) == sum(len(data) for _, data in flood)
    assert told.held == 0


def test_a_response_waits_for_its_request_only_until_too_much_queues_behind_it() -> None:
    table = connections(Limits(), 65536, Ledger())
    most = 0
    for n in range(HOLD_BYTES // 1000 + 10):
        list(table.feed(chunk(S, n * 1000, b"HTTP/1.1 204 X\r\n\r\n".ljust(1000, b"\n"), 1)))
        most = max(most, table.held)
    assert most < HOLD_BYTES + 4096


def test_closing_an_unknown_connection_tells_nothing() -> None:
    assert not list(connections(Limits(), 65536, Ledger()).feed(Closed(1, KEY)))


def test_one_answer_lost_at_a_late_join_does_not_unpair_the_connection_for_good() -> None:
    table = connections(Limits(), 65536, Ledger())
    events = [
        chunk(C, 0, b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\n", 1, from_start=False)
    ]  # its response is not captured
    asked, answered = 28, 0
    for number in range(2, 8):
        request = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number
        response = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number
        events.append(chunk(C, asked, request, 2 * number, from_start=False))
        events.append(chunk(S, answered, response, 2 * number + 1, from_start=False))
        asked, answered = asked + len(request), answered + len(response)
    seen = [one.exchange for event in events for one in seen_in(table.feed(event))]
    whole = [exchange for exchange in seen if exchange.completeness is Completeness.COMPLETE]
    assert len(whole) >= 4
    for exchange in whole:
        assert exchange.request is not None
        assert exchange.response is not None
        assert exchange.request.target == b"/" + exchange.response.body.data


@pytest.mark.parametrize("evictions", [1, 2])
def test_a_request_that_is_late_from_before_an_eviction_takes_no_later_answer(evictions: int) -> None:
    """Its own response was dropped with the evicted data: the next one belongs to another request, which is
    late as well. The same holds if only late chunks arrived between that eviction and the last.
    """
    first, second = (OK.replace(b"1000", b"%d" % len(word)) + word for word in (b"first", b"second"))
    other = replace(chunk(C, 0, GET, 11), connection=ConnectionKey("socket", 0xFFFF0002, 1))
    asked = [event for n in range(evictions) for event in (other, chunk(C, n * len(GET), GET, 1 + n))]
    fed = [chunk(S, 0, first, 10), *asked, chunk(S, len(first), second, 50)]
    told = tell(fed, limits=Limits(connections=1), opened=False)
    answered = [x.request for x in told.exchanges if x.response and x.response.body.data == b"second"]
    assert answered == [None]
