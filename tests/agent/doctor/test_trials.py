"""The self-test's results come from what was captured, never from what should have been."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from agent.doctor import ends
from agent.doctor.ends import H2, PLAIN, TLS
from agent.doctor.facts import Outcome
from agent.doctor.trials import BOTH, Call, Trials
from agent.events import Address, Chunk, Closed, ConnectionKey, Direction, Event, Role, Tick
from agent.ledger import Bytes

ID = "5eed" * 8
PORTS = {PLAIN: 41001, TLS: 41002, H2: 41003}
CLIENT = Address("127.0.0.1", 50000)
OTHER_WAY = {Direction.SENT: Direction.RECEIVED, Direction.RECEIVED: Direction.SENT}
SECOND = 1_000_000_000


def http1(request_id: str = ID, answer: str = ID, length: int | None = None) -> list[tuple[Direction, bytes]]:
    request = f"GET {ends.PATH}{request_id} HTTP/1.1\r\nHost: x\r\n\r\n"
    size = len(answer) if length is None else length
    response = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{answer}"
    return [(Direction.SENT, request.encode()), (Direction.RECEIVED, response.encode())]


def http2() -> list[tuple[Direction, bytes]]:
    client, server = H2Connection(), H2Connection(H2Configuration(client_side=False))
    client.initiate_connection()
    server.initiate_connection()
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", ends.PATH + ID)]
    client.send_headers(1, fields, end_stream=True)
    asked = client.data_to_send()
    for event in server.receive_data(asked):
        ends.answer(server, event)
    return [(Direction.SENT, asked), (Direction.RECEIVED, server.data_to_send())]


def view(
    said: list[tuple[Direction, bytes]], role: Role, port: int, source: str = "socket"
) -> Iterator[Event]:
    """The capture of a conversation at one end; the conversation is given from the client's side."""
    server = Address("127.0.0.1", port)
    local, peer = (CLIENT, server) if role is Role.CLIENT else (server, CLIENT)
    key = ConnectionKey(
        source, 0xC000 if role is Role.CLIENT else 0x5000, 1, None if source == "socket" else 9
    )
    at = {Direction.SENT: 0, Direction.RECEIVED: 0}
    now = SECOND
    for way, data in said:
        mine = way if role is Role.CLIENT else OTHER_WAY[way]
        yield Chunk(now, key, mine, at[mine], len(data), data, 9, local, peer, None, True)
        at[mine] += len(data)
        now += 1000
    yield Closed(now, key)


def judged(protocol: str, *events: Event) -> tuple[Outcome, bool, bool]:
    trials = Trials([Call(protocol, PORTS[protocol], ID)])
    for event in events:
        trials.feed(event)
    trials.feed(Tick(5 * SECOND))
    trials.finish()
    trial = trials.verdict(protocol)
    assert trials.complete == (trial.outcome is Outcome.SEEN)
    assert (trial.cure is None) == (trial.outcome is Outcome.SEEN)
    return trial.outcome, trial.client_seen, trial.server_seen


@pytest.mark.parametrize(
    ("protocol", "said", "source"),
    [(PLAIN, http1(), "socket"), (TLS, http1(), "openssl"), (H2, http2(), "socket")],
)
def test_a_call_captured_at_both_ends_is_seen_and_at_one_end_partly(
    protocol: str, said: list[tuple[Direction, bytes]], source: str
) -> None:
    client = list(view(said, Role.CLIENT, PORTS[protocol], source))
    server = list(view(said, Role.SERVER, PORTS[protocol], source))
    assert judged(protocol, *client, *server) == (Outcome.SEEN, True, True)
    assert judged(protocol, *server, *client) == (Outcome.SEEN, True, True)
    assert judged(protocol, *client) == (Outcome.PARTLY, True, False)
    assert judged(protocol, *server) == (Outcome.PARTLY, False, True)


@pytest.mark.parametrize(
    "said",
    [http1(request_id="another"), http1(answer="another"), http1(length=400), http1()[:1]],
    ids=["another request", "another response", "cut short", "no response"],
)
def test_an_exchange_that_is_not_the_whole_call_is_not_counted(said: list[tuple[Direction, bytes]]) -> None:
    events = [event for role in BOTH for event in view(said, role, PORTS[PLAIN])]
    assert judged(PLAIN, *events) == (Outcome.UNPARSED, False, False)


def test_a_call_of_which_nothing_came_is_unseen() -> None:
    assert judged(PLAIN) == (Outcome.UNSEEN, False, False)


def test_calls_at_other_ports_are_passed_over() -> None:
    assert judged(PLAIN, *view(http1(), Role.CLIENT, 8080)) == (Outcome.UNSEEN, False, False)


def test_a_tls_call_is_not_seen_by_its_ciphertext_nor_by_plaintext_at_the_socket() -> None:
    ciphertext = [
        (Direction.SENT, b"\x16\x03\x01\x00\x05hello"),
        (Direction.RECEIVED, b"\x17\x03\x03\x00\x01x"),
    ]
    assert judged(TLS, *view(ciphertext, Role.CLIENT, PORTS[TLS])) == (Outcome.UNSEEN, False, False)
    assert judged(TLS, *view(http1(), Role.CLIENT, PORTS[TLS])) == (Outcome.UNSEEN, False, False)


def test_what_the_parsers_dismiss_is_told_by_the_bucket_it_is_counted_in() -> None:
    trials = Trials([Call(PLAIN, PORTS[PLAIN], ID)])
    events = view([(Direction.SENT, b"\0\1\2 no HTTP at all\n" * 9)], Role.CLIENT, PORTS[PLAIN])
    dismissed = [one.bucket for event in events for one in trials.feed(event)]
    trial = trials.verdict(PLAIN)
    assert dismissed == [Bytes.NOT_HTTP]
    assert trial.outcome is Outcome.UNPARSED
    assert Bytes.NOT_HTTP in trial.what
