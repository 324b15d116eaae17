"""The kernel skips body bytes beyond the cap, but never a byte that framing needs."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise

import pytest

from agent.events import Chunk, ConnectionKey, Direction, Opened
from agent.http.connections import connections
from agent.http.messages import BodyState, Completeness, Exchange
from agent.ledger import Bytes, Ledger
from agent.probes.kernel import HEADROOM, CaptureFilters
from agent.streams.table import Limits
from tests.agent.http.h2.test_streams import Talk
from tests.agent.http.talks import seen_in
from tests.agent.probes.watch import Watch, connected, watching

pytestmark = pytest.mark.root

CAP = 4096
FLOOR = 512  # bytes; smaller parts are copied
C, S = Direction.SENT, Direction.RECEIVED  # as the client sees it
LARGE, SMALL = 1_000_000, 100
GET = b"GET /%d HTTP/1.1\r\nHost: pets\r\n\r\n"
PIECE = 50_000
LIKE_FIELDS = b"Transfer-Encoding: none\r\nContent-Length: 7\r\n"  # where a body begins

Step = tuple[Direction, bytes]


@pytest.fixture(scope="module")
def watch(listener: socket.socket) -> Iterator[Watch]:
    filters = CaptureFilters(only_ports=frozenset({listener.getsockname()[1]}), body_cap=CAP)
    with watching(filters, ring_mib=64) as watch:
        yield watch


def ok(body: bytes, *fields: bytes) -> bytes:
    lines = [b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


class Passed:
    """A conversation on one connection: the bytes that passed, and the events of each end."""

    def __init__(self, watch: Watch, listener: socket.socket, steps: Iterable[Step]) -> None:
        self.halves = {C: b"", S: b""}
        client, server = connected(listener)
        with client, server:
            self.port = client.getsockname()[1]
            ends = {C: (client, server), S: (server, client)}
            for way, data in steps:
                self.halves[way] += data
                for at in range(0, len(data), PIECE):
                    _pass_on(*ends[way], data[at : at + PIECE])
        self._watch = watch
        watch.until(self._is_told, "both ends, to their last byte")

    def _is_told(self) -> bool:
        return all(sum(c.length for c in self.chunks(end, way)) == len(self.halves[way]) for end, way in ENDS)

    def key(self, end: Direction) -> ConnectionKey | None:
        opened = [event for event in self._watch.told if isinstance(event, Opened)]
        ports = [(e.connection, e.local and e.local.port, e.peer and e.peer.port) for e in opened]
        return next((key for key, *two in ports if two[end is S] == self.port), None)

    def chunks(self, end: Direction, way: Direction) -> list[Chunk]:
        """The chunks that the client's (C) or server's (S) end reported of the bytes in one direction."""
        key, seen_as = self.key(end), way if end is C else (S if way is C else C)
        told = (event for event in self._watch.told if isinstance(event, Chunk))
        return [chunk for chunk in told if chunk.connection == key and chunk.direction is seen_as]

    def capped(self, end: Direction, way: Direction) -> int:
        return sum(c.length - len(c.data) for c in self.chunks(end, way) if c.capped)

    def check(self) -> None:
        """Positions are exact, copied bytes equal the sent ones, and missing bytes are marked as capped."""
        for end, way in ENDS:
            position = 0
            for chunk in self.chunks(end, way):
                assert chunk.position == position
                assert self.halves[way][position:].startswith(chunk.data)
                assert chunk.capped == (len(chunk.data) < chunk.length)
                position += chunk.length

    def exchanges(self, end: Direction) -> tuple[list[Exchange], Ledger]:
        ledger, key = Ledger(), self.key(end)
        table = connections(Limits(), CAP, ledger)
        mine = [e for e in self._watch.told if isinstance(e, (Opened, Chunk)) and e.connection == key]
        facts = [fact for event in mine for fact in table.feed(event)]
        seen = seen_in([*facts, *table.finish(mine[-1].time_ns)])
        return [one.exchange for one in seen], ledger


ENDS = [(end, way) for end in (C, S) for way in (C, S)]


def _pass_on(sender: socket.socket, receiver: socket.socket, data: bytes) -> None:
    """One call at each end, so that the number of events does not depend on the machine's load."""
    sender.sendall(data)
    received = receiver.recv(len(data), socket.MSG_WAITALL) if data else b""
    assert len(received) == len(data)


def test_many_requests_on_one_connection_keep_their_exact_sizes(
    watch: Watch, listener: socket.socket
) -> None:
    sizes = [LARGE, SMALL, LARGE, SMALL, SMALL, LARGE, 0, LARGE, SMALL]
    bodies = [(LIKE_FIELDS + os.urandom(size))[:size] for size in sizes]
    upload = b"POST /up HTTP/1.1\r\nHost: pets\r\nContent-Length: %d\r\n\r\n" % LARGE + os.urandom(LARGE)
    steps = [step for n, body in enumerate(bodies) for step in ((C, GET % n), (S, ok(body)))]
    passed = Passed(watch, listener, [*steps, (C, upload), (S, ok(b"")), (C, GET % 99), (S, ok(b"last"))])
    passed.check()
    for end in (C, S):
        exchanges, ledger = passed.exchanges(end)
        answers = [exchange.response.body for exchange in exchanges if exchange.response]
        assert [body.size for body in answers] == [*sizes, 0, 4]
        for body, sent in zip(answers, [*bodies, b"", b"last"], strict=True):
            assert body.data == sent[:CAP]
            assert body.state is (BodyState.TRUNCATED if len(sent) > CAP else BodyState.COMPLETE)
        asked = exchanges[-2].request
        assert asked is not None
        assert (asked.body.size, asked.body.state) == (LARGE, BodyState.TRUNCATED)
        assert {exchange.completeness for exchange in exchanges} == {
            Completeness.COMPLETE,
            Completeness.TRUNCATED,
        }
        assert ledger.bytes[Bytes.UNSYNCED] == ledger.bytes[Bytes.UNCAPTURED] == 0
        assert ledger.bytes[Bytes.CAPPED] == passed.capped(end, C) + passed.capped(end, S)
        least = sizes.count(LARGE) * (LARGE - CAP - HEADROOM - 16384)
        assert passed.capped(end, S) >= least
        assert passed.capped(end, C) >= LARGE - CAP - HEADROOM - 16384


def test_a_chunked_body_is_copied_whole_and_so_is_all_after_it(watch: Watch, listener: socket.socket) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = [os.urandom(16_000) for _ in range(LARGE // 16_000)]
    passed = Passed(
        watch,
        listener,
        [
            *((C, GET % 1), (S, ok(os.urandom(LARGE)))),
            *((C, GET % 2), (S, head), (S, chunked(*body)), (S, b"0\r\n\r\n")),
            *((C, GET % 3), (S, ok(os.urandom(LARGE)))),
        ],
    )
    passed.check()
    for end in (C, S):
        exchanges, ledger = passed.exchanges(end)
        assert [x.response and x.response.body.size for x in exchanges] == [
            LARGE,
            LARGE - LARGE % 16_000,
            LARGE,
        ]
        assert [x.completeness for x in exchanges] == [Completeness.TRUNCATED] * 3
        assert ledger.bytes[Bytes.UNSYNCED] == 0
        assert passed.capped(end, S) < LARGE


EVIL_REQUEST = b"POST /evil HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"
EVIL_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
POST = b"POST /real HTTP/1.1\r\nHost: pets\r\n%s\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MANY = b"%d" % (10 * LARGE)
HOSTILE: dict[str, list[Step]] = {
    "a chunk that is a head": [
        (C, POST % b"Transfer-Encoding: chunked"),
        *((C, b"%x\r\n" % len(EVIL_REQUEST)), (C, EVIL_REQUEST), (C, b"\r\n0\r\n\r\n"), (S, ok(b""))),
    ],
    "a chunk that is a head, after a turn": [
        *(
            (C, POST % b"Expect: 100-continue\r\nTransfer-Encoding: chunked"),
            (S, b"HTTP/1.1 100 Continue\r\n\r\n"),
        ),
        *((C, b"%x\r\n" % len(EVIL_REQUEST)), (S, b"HTTP/1.1 102 Processing\r\n\r\n")),
        *((C, EVIL_REQUEST), (C, b"\r\n0\r\n\r\n"), (S, ok(b""))),
    ],
    "a body of known length that is a head": [
        (C, POST % b"Content-Length: %d" % len(EVIL_REQUEST)),
        *((C, EVIL_REQUEST), (S, ok(b""))),
    ],
    "an answer's chunk that is a head": [
        *((C, GET % 0), (S, CHUNKED), (S, b"%x\r\n" % len(EVIL_RESPONSE)), (S, EVIL_RESPONSE)),
        (S, b"\r\n0\r\n\r\n"),
    ],
    "an answer without end that is a head, then a request": [
        *((C, GET % 0), (S, CHUNKED), (S, b"%x\r\n" % len(EVIL_RESPONSE)), (C, GET % 1), (S, EVIL_RESPONSE)),
        *((S, b"\r\n0\r\n\r\n"), (S, ok(b""))),
    ],
    "HEAD": [
        (C, b"HEAD / HTTP/1.1\r\nHost: pets\r\n\r\n"),
        (S, b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n" % MANY),
    ],
    "304": [(C, GET % 0), (S, b"HTTP/1.1 304 Not Modified\r\nContent-Length: %s\r\n\r\n" % MANY)],
    "204": [(C, GET % 0), (S, b"HTTP/1.1 204 No Content\r\nContent-Length: %s\r\n\r\n" % MANY)],
    "HEAD in the same call as the one before": [
        (C, GET % 0 + b"HEAD / HTTP/1.1\r\nHost: pets\r\n\r\n"),
        *((S, ok(b"")), (S, b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n" % MANY)),
    ],
    "HEAD before the answer to the one before": [
        *((C, GET % 0), (C, b"HEAD / HTTP/1.1\r\nHost: pets\r\n\r\n")),
        *((S, ok(b"")), (S, b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n" % MANY)),
    ],
}
DOUBTS = [
    b"Content-Length: %s\r\nTransfer-Encoding: chunked" % MANY,
    b"Content-Length: %s\r\nContent-Length: %s" % (MANY, MANY),
    b"Content-Length : %s" % MANY,
    b"Content-Length: %s, %s" % (MANY, MANY),
    b"Content-Length: +%s" % MANY,
    b"Content-Length: 99999999999999999999",
    b"Content-Length: %s \t" % MANY,
    b"X: y\r\n Content-Length: 4\r\nContent-Length: %s" % MANY,
    b"X: y\nContent-Length: %s" % MANY,
    b"Content-Length: %s\nX: y" % MANY,
    b"X: y\rTransfer-Encoding: chunked\r\nContent-Length: %s" % MANY,
    b"X: %s\r\nContent-Length: %s" % (b"y" * 5000, MANY),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_only_looks_like_a_head_with_a_large_body_hides_nothing(
    watch: Watch, listener: socket.socket, name: str
) -> None:
    after = [step for n in range(4) for step in ((C, GET % (100 + n)), (S, ok(b"real" * 700)))]
    passed = Passed(watch, listener, [*HOSTILE[name], *after])
    passed.check()
    assert [passed.capped(end, way) for end, way in ENDS] == [0] * 4
    for end in (C, S):
        exchanges, _ = passed.exchanges(end)
        targets = [exchange.request.target for exchange in exchanges if exchange.request]
        assert targets[-4:] == [b"/100", b"/101", b"/102", b"/103"]


@pytest.mark.parametrize("fields", DOUBTS, ids=range(len(DOUBTS)))
def test_a_head_that_servers_may_read_in_more_than_one_way_is_no_ground_to_leave_bytes_out(
    watch: Watch, listener: socket.socket, fields: bytes
) -> None:
    filler = os.urandom(3 * PIECE)
    asked = Passed(watch, listener, [(C, POST % fields), (C, filler)])
    answered = Passed(
        watch, listener, [(C, GET % 0), (S, b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % fields), (S, filler)]
    )
    for passed in (asked, answered):
        passed.check()
        assert [passed.capped(end, way) for end, way in ENDS] == [0] * 4


def h2_conversation(piece: int | None) -> tuple[list[Step], list[bytes]]:
    """Eight concurrent streams with bodies of 1 MB and 100 B in turns, in flights of `piece` bytes."""
    talk, bodies = Talk(), [os.urandom((LARGE, SMALL)[n % 2]) for n in range(8)]
    for conn in (talk.client, talk.server):
        conn.increment_flow_control_window(2**31 - 1 - 65535)
    talk.flush()
    for n in range(8):
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "pets"), (":path", f"/{n}")]
        talk.client.send_headers(2 * n + 1, fields, end_stream=True)
        talk.client.increment_flow_control_window(2**31 - 1 - 65535, 2 * n + 1)
    talk.flush()
    for n in range(8):
        talk.server.send_headers(2 * n + 1, [(":status", "200"), ("x-number", str(n))])
    sent = [0] * 8
    while any(at < len(body) for at, body in zip(sent, bodies, strict=True)):
        for n, body in enumerate(bodies):
            if sent[n] < len(body):
                part = body[sent[n] : sent[n] + 16_384]
                sent[n] += len(part)
                talk.server.send_data(2 * n + 1, part, end_stream=sent[n] == len(body))
        talk.flush()
    steps: list[Step] = []
    for direction, data in talk.wire:
        ends = [*range(0, len(data), piece or len(data)), len(data)]
        steps += [(direction, data[a:b]) for a, b in pairwise(ends)]
    return steps, bodies


@pytest.mark.parametrize("piece", [None, 16_393, 4_099, 40_000])
def test_http2_streams_are_capped_each_by_itself_wherever_calls_cut_the_frames(
    watch: Watch, listener: socket.socket, piece: int | None
) -> None:
    steps, bodies = h2_conversation(piece)
    passed = Passed(watch, listener, steps)
    passed.check()
    for end in (C, S):
        exchanges, ledger = passed.exchanges(end)
        told = {x.ordinal: x for x in exchanges}
        assert sorted(told) == list(range(1, 17, 2))
        for n, body in enumerate(bodies):
            response = told[2 * n + 1].response
            assert response is not None
            assert (response.body.size, response.body.data) == (len(body), body[:CAP])
            assert (b"x-number", b"%d" % n) in response.headers
        assert ledger.bytes[Bytes.UNSYNCED] == ledger.bytes[Bytes.UNCAPTURED] == 0
        assert passed.capped(end, S) >= 4 * (LARGE - CAP - HEADROOM) * 0.95
        calls = sum(1 for way, _ in steps if way is S)
        frames = list(accumulate(len(body) // 16_384 + 1 for body in bodies))[-1]
        assert len(passed.chunks(end, S)) <= 2 * (calls + frames)
