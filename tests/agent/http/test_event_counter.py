"""Server-sent events are counted whatever the pieces, over HTTP/1.1 and HTTP/2, also beyond the cap."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.http.event_counter import EventCounter, is_event_stream
from agent.http.payload import BodyAccumulator
from agent.streams.half import GapReason
from tests.agent.http.talks import C, S, Steps, chunks, tell

STREAMS = {
    b"": 0,
    b"data: a\n\n": 1,
    b"data: a\n\ndata: b\n\n": 2,
    b"event: x\r\nid: 7\r\ndata: a\r\ndata: b\r\n\r\ndata\r\n\r\n": 2,
    b"data:a\r\rdata:b\r\r": 2,
    b"data:a\r\n\ndata:b\r\n\n": 2,
    b"\xef\xbb\xbfdata: a\n\n": 1,
    b": a comment\n\nretry: 5\n\nevent: x\n\n": 0,  # no data, no event
    b"database: 1\n\ndat\n\nxdata: 1\n\n": 0,
    b"data: a\n": 0,  # not over yet
    b"\n\n\n\ndata: a\n\n\n\n": 1,
    b"data: " + b"x" * 5000 + b"\n\n": 1,
}


def counted(*pieces: bytes) -> int:
    events = EventCounter()
    for piece in pieces:
        events.feed(piece)
    return events.count


@pytest.mark.parametrize(("stream", "count"), STREAMS.items())
def test_a_stream_has_so_many_events_wherever_it_is_cut(stream: bytes, count: int) -> None:
    assert counted(stream) == count
    for cut in range(min(len(stream), 200)):
        assert counted(stream[:cut], b"", stream[cut:]) == count
    assert counted(*(stream[at : at + 1] for at in range(len(stream)))) == count


@given(
    st.lists(
        st.sampled_from([b"data", b":", b"\r", b"\n", b"x", b"\xef\xbb\xbf", b" "]) | st.binary(max_size=4)
    )
)
def test_any_pieces_count_as_the_whole_does(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert counted(*pieces) == counted(whole)
    assert counted(whole) <= len(re.findall(rb"data", whole))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
EVENTS = b"".join(b"data: %d\n\n" % number for number in range(1000))


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(EVENTS), EVENTS)),
        (HEAD + b"\r\n", EVENTS),  # until the close
    ],
)
def test_an_exchange_counts_all_its_events_also_beyond_the_cap(head: bytes, body: bytes) -> None:
    steps: Steps = [(C, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), (S, head)]
    steps += [(S, body[at : at + 700]) for at in range(0, len(body), 700)]
    (exchange,) = tell(chunks(steps), cap=50).exchanges
    assert exchange.response is not None
    assert (len(exchange.response.body.data), exchange.response.body.events) == (50, 1000)
    assert exchange.request is not None
    assert exchange.request.body.events is None


def test_a_body_with_a_gap_has_no_number_of_events() -> None:
    payload = BodyAccumulator(4)
    payload.events = EventCounter()
    payload.add(b"data: a\n\n")
    assert payload.body().events == 1
    payload.skip(3, GapReason.LOST)
    payload.add(b"data: a\n\n")
    assert payload.body().events is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (((b"content-type", b"text/event-stream"),), True),
        (((b"content-type", b"Text/Event-Stream; charset=utf-8"),), True),
        (((b"content-type", b"text/event-stream"), (b"content-encoding", b"identity")), True),
        (((b"content-type", b"text/event-stream"), (b"content-encoding", b"gzip")), False),
        (((b"content-type", b"text/plain"),), False),
        ((), False),
    ],
)
def test_a_stream_of_events_is_one_by_its_type_and_not_coded(
    headers: tuple[tuple[bytes, bytes], ...], expected: bool
) -> None:
    assert is_event_stream(headers) is expected
