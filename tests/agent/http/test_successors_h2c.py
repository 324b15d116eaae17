"""HTTP/2 by Upgrade (RFC 7540 section 3.2): the request that offers it is stream 1, and is reported once."""

from __future__ import annotations

import h2.config
import h2.connection
import pytest

from agent.http.messages import BodyState, Completeness, Exchange
from tests.agent.http.talks import C, S, Steps, bytewise, chunks, recut, tell

BEFORE = b"GET /before HTTP/1.1\r\nHost: pets\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"
HEAD = b"POST /pets/1 HTTP/1.1\r\nHost: pets\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
BODY = b"body of stream 1"


def conversation(before: int) -> Steps:
    """Several HTTP/1.1 exchanges, the last of which is upgraded, and one more stream."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    settings = client.initiate_upgrade_connection() or b""
    server.initiate_upgrade_connection(settings)
    ask = HEAD + b"HTTP2-Settings: %b\r\nContent-Length: %d\r\n\r\n" % (settings, len(BODY)) + BODY
    steps: Steps = [(C, BEFORE[0]), (S, BEFORE[1])] * before
    steps += [(C, ask), (S, SWITCHING)]
    server.send_headers(1, [(":status", "200"), ("x-number", "1")])
    server.send_data(1, b"answer 1", end_stream=True)
    steps += [(S, server.data_to_send()), (C, client.data_to_send())]
    client.receive_data(steps[-2][1])
    server.receive_data(steps[-1][1])
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", "pets"), (":path", "/pets/3")]
    client.send_headers(3, fields, end_stream=True)
    steps.append((C, client.data_to_send()))
    server.receive_data(steps[-1][1])
    server.send_headers(3, [(":status", "404"), ("x-number", "3")], end_stream=True)
    steps.append((S, server.data_to_send()))
    return steps


def check(exchanges: list[Exchange], before: int) -> None:
    first, second = exchanges[before:]
    assert len({one.ordinal for one in exchanges}) == len(exchanges)
    for one, target, status in ((first, b"/pets/1", 200), (second, b"/pets/3", 404)):
        assert one.request is not None
        assert one.response is not None
        assert (one.request.target, one.response.status) == (target, status)
        assert one.completeness is Completeness.COMPLETE
    assert first.request is not None
    assert first.response is not None
    assert (first.request.body.data, first.response.body.data) == (BODY, b"answer 1")
    assert (first.response.interim, first.upgraded, second.upgraded) == ((101,), b"h2c", None)


@pytest.mark.parametrize("before", [0, 1, 4])
def test_the_request_that_offers_it_is_one_exchange_with_the_answer_of_stream_1(before: int) -> None:
    check(tell(chunks(conversation(before))).exchanges, before)


def test_wherever_the_bytes_are_cut() -> None:
    made = chunks(conversation(1))
    for at in range(1, sum(piece.length for piece in made)):
        check(tell(recut(made, at)).exchanges, 1)
    check(tell(bytewise(made)).exchanges, 1)


def test_a_body_beyond_the_cap_keeps_its_size() -> None:
    first, _ = tell(chunks(conversation(0)), cap=4).exchanges
    assert first.request is not None
    body = first.request.body
    assert (body.size, body.data, body.state) == (len(BODY), BODY[:4], BodyState.TRUNCATED)


def test_an_offer_that_is_declined_stays_with_http1() -> None:
    ask = HEAD + b"HTTP2-Settings: AAAA\r\nContent-Length: 0\r\n\r\n"
    steps: Steps = [(C, ask), (S, BEFORE[1]), (C, BEFORE[0]), (S, BEFORE[1])]
    told = tell(chunks(steps)).exchanges
    assert [one.response and one.response.status for one in told] == [204, 204]
    assert [one.upgraded for one in told] == [None, None]
