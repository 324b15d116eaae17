"""Whatever is lost, late, doubled or cut: no exception, no body on a wrong request, no byte unaccounted
for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from agent.events import Chunk, Direction
from agent.http.messages import Body, BodyState, Completeness, Exchange
from tests.agent.http.talks import C, S, chunk, tell

MS = 1_000_000


@dataclass(frozen=True)
class Said:
    """A message as it was sent; `body` is after transfer coding."""

    way: Direction
    raw: bytes
    body: bytes
    starts_turn: bool  # its sender waited for all earlier messages


def framed(kind: str, body: bytes, step: int) -> tuple[bytes, bytes]:
    """The headers and wire form of a body."""
    if kind == "length":
        return b"Content-Length: %d\r\n" % len(body), body
    parts = [body[at : at + step] for at in range(0, len(body), step)]
    wire = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return b"Transfer-Encoding: chunked\r\n", wire


@st.composite
def messages(draw: st.DrawFn, pipelined: bool) -> list[Said]:
    """A conversation in which request and response n carry the number n."""
    said: list[Said] = []
    number = 0
    for turn in range(draw(st.integers(1, 5))):
        burst = draw(st.integers(2 if turn == 0 else 1, 4)) if pipelined else 1
        asked: list[Said] = []
        answered: list[Said] = []
        for _ in range(burst):
            framing, size = draw(st.sampled_from(["none", "length", "chunked"])), draw(st.integers(1, 60))
            body = b"" if framing == "none" else b"ask-%04d;" % number * size
            head, wire = (b"", b"") if framing == "none" else framed(framing, body, 50)
            method = draw(st.sampled_from([b"GET", b"HEAD"])) if framing == "none" else b"POST"
            raw = b"%b /%04d HTTP/1.1\r\nHost: h\r\n%b\r\n%b" % (method, number, head, wire)
            asked.append(Said(C, raw, body, not asked))
            status, framing = (
                draw(st.sampled_from([200, 200, 204, 404])),
                draw(st.sampled_from(["length", "chunked"])),
            )
            body = b"say-%04d;" % number * draw(st.integers(1, 60))
            head, wire = framed(framing, body, 70)
            if method == b"HEAD" or status == 204:
                body = wire = b""
            if status == 204:
                head = b""
            hints = draw(
                st.sampled_from([b"", b"", b"HTTP/1.1 103 Hints\r\nX-Number: %04d\r\n\r\n" % number])
            )
            raw = b"%bHTTP/1.1 %d X\r\nX-Number: %04d\r\n%b\r\n%b" % (hints, status, number, head, wire)
            answered.append(Said(S, raw, body, not answered))
            number += 1
        said += asked + answered
    return said


@st.composite
def sent(draw: st.DrawFn, said: list[Said], joined: bool) -> list[Chunk]:
    """The chunks of all messages. Messages share a chunk only if `joined` and in one burst: all messages of
    the first burst do, since nothing else proves that the client pipelines.
    """
    units: list[tuple[Direction, bytes, bool]] = []
    shared: set[int] = set()  # boundaries between messages of the first burst
    for message in said:
        if joined and units and not message.starts_turn and (units[-1][2] or draw(st.booleans())):
            way, raw, first = units[-1]
            units[-1] = (way, raw + message.raw, first)
            if first:
                shared.add(len(raw))
        else:
            units.append((message.way, message.raw, not units))
    made, at, now = [], {C: 0, S: 0}, 0
    for way, raw, first in units:
        now += draw(st.sampled_from([1, 5, 40, 400])) * MS
        places = draw(st.sets(st.integers(1, max(1, len(raw) - 1)), max_size=4))
        cuts = sorted(places - shared if first else places)
        for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
            if end > start:
                made.append(chunk(way, at[way], raw[start:end], now))
                at[way] += end - start
                now += MS
    return made


@st.composite
def harmed(draw: st.DrawFn, made: list[Chunk], spare: int = 0, lose: bool = True) -> list[Chunk]:
    """The chunks as a source under pressure reports them: lost, not copied, doubled, late. The first `spare`
    stay whole.
    """
    rate = draw(st.sampled_from([0.05, 0.3])) if lose else 0.0
    out: list[tuple[int, int, Chunk]] = []
    chance = st.floats(0, 1, width=16)
    delay = st.sampled_from([0, 0, 0, 1, 10, 50, 300] if lose else [0, 1, 10, 50])
    for n, piece in enumerate(made):
        copies = 1
        if n >= spare:
            if draw(chance) < rate:
                continue
            if lose and draw(chance) < rate / 2:
                piece = replace(piece, data=piece.data[: draw(st.integers(0, piece.length))])
            copies += draw(chance) < rate / 2
        for _ in range(copies):
            out.append((piece.time_ns + (draw(delay) * MS if n >= spare else 0), n, piece))
    return [piece for _, _, piece in sorted(out, key=lambda item: item[:2])]


@st.composite
def joined_late(draw: st.DrawFn, made: list[Chunk]) -> list[Chunk]:
    """The chunks that a source sees which started in the middle: later ones, with positions from the first it
    saw.
    """
    rest = made[draw(st.integers(0, len(made) - 1)) :]
    base: dict[Direction, int] = {}
    for piece in rest:
        base.setdefault(piece.direction, piece.position)
    return [replace(p, position=p.position - base[p.direction], from_start=False) for p in rest]


def check_truth(exchanges: list[Exchange], said: list[Said], cap: int) -> None:
    asked = [message for message in said if message.way is C]
    answered = [message for message in said if message.way is S]
    for exchange in exchanges:
        request, response = exchange.request, exchange.response
        numbers = set()
        if request is not None:
            numbers.add(int(request.target[1:]))
            check_body(request.body, asked[int(request.target[1:])].body, cap)
        if response is not None:
            number = int(dict(response.headers)[b"x-number"])
            numbers.add(number)
            check_body(response.body, answered[number].body, cap)
        assert len(numbers) == 1, "a response on a wrong request"
        if exchange.completeness is Completeness.COMPLETE:
            assert request is not None
            assert response is not None
            assert request.body.state is response.body.state is BodyState.COMPLETE


def check_body(body: Body, true: bytes, cap: int) -> None:
    assert true.startswith(body.data)
    assert len(body.data) <= cap
    if body.state is BodyState.COMPLETE:
        assert body.data == true
    elif body.state is BodyState.TRUNCATED:
        assert body.size is not None
    elif body.size is not None:
        assert body.size <= len(true)


def check_ledger(counts: dict[str, int], fed: list[Chunk]) -> None:
    assert sum(counts.values()) == sum(piece.length for piece in fed)
    assert all(count >= 0 for count in counts.values())


def run(fed: list[Chunk], said: list[Said], cap: int, closed: bool) -> list[Exchange]:
    from_start = all(piece.from_start for piece in fed)
    told = tell(fed, opened=from_start, closed=closed, cap=cap)
    check_truth(told.exchanges, said, cap)
    check_ledger(told.ledger.bytes, fed)
    assert told.held == 0
    ordinals = [x.ordinal for x in told.exchanges]
    assert len(set(ordinals)) == len(ordinals)
    for exchange in told.exchanges:
        event(f"{exchange.completeness}")
    return told.exchanges


caps = st.sampled_from([0, 10, 65536])


@settings(deadline=None)
@given(st.data(), caps, st.booleans())
def test_a_client_that_waits_is_never_given_a_wrong_body(data: st.DataObject, cap: int, closed: bool) -> None:
    said = data.draw(messages(pipelined=False))
    run(data.draw(harmed(data.draw(sent(said, joined=False)))), said, cap, closed)


@settings(deadline=None)
@given(st.data(), caps, st.booleans())
def test_nor_is_one_that_was_joined_late(data: st.DataObject, cap: int, closed: bool) -> None:
    said = data.draw(messages(pipelined=False))
    made = data.draw(joined_late(data.draw(sent(said, joined=False))))
    run(data.draw(harmed(made)), said, cap, closed)


@settings(deadline=None)
@given(st.data(), caps, st.booleans())
def test_nor_is_one_that_was_seen_to_pipeline(data: st.DataObject, cap: int, closed: bool) -> None:
    said = data.draw(messages(pipelined=True))
    made = data.draw(sent(said, joined=True))
    burst = next(n for n, piece in enumerate(made) if piece.direction is S)
    run(data.draw(harmed(made, spare=burst)), said, cap, closed)


@settings(deadline=None)
@given(st.data(), st.booleans())
def test_without_loss_every_exchange_is_complete_whatever_the_order(
    data: st.DataObject, pipelined: bool
) -> None:
    said = data.draw(messages(pipelined=pipelined))
    made = data.draw(harmed(data.draw(sent(said, joined=pipelined)), lose=False))
    exchanges = run(made, said, 65536, True)
    assert len(exchanges) == len(said) // 2
    assert all(x.completeness is Completeness.COMPLETE for x in exchanges)


@settings(deadline=None)
@given(st.data())
def test_without_loss_every_exchange_after_a_late_join_is_complete(data: st.DataObject) -> None:
    said = data.draw(messages(pipelined=False))
    made = data.draw(joined_late(data.draw(sent(said, joined=False))))
    whole = sum(piece.direction is C and piece.data.find(b" HTTP/1.1\r\n") > 0 for piece in made)
    exchanges = run(made, said, 65536, True)
    complete = sum(x.completeness is Completeness.COMPLETE for x in exchanges)
    assert complete >= whole - 1


Bytewise = Callable[[bytes], bytes]
fragments = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: h\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 101 S\r\n",
        b"HTTP/1.1 100 C\r\n\r\n",
        b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Upgrade: x\r\n",
        b"\r\n",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01",
    ]
)
junk = st.lists(st.one_of(fragments, st.binary(max_size=20)), max_size=8).map(b"".join)
wild = st.builds(
    lambda way, position, data, more, time_ns, from_start: replace(
        chunk(way, position, data, time_ns, from_start), length=len(data) + more
    ),
    st.sampled_from([C, S]),
    st.integers(0, 300),
    junk,
    st.sampled_from([0, 0, 0, 7]),
    st.integers(0, 2_000 * MS),
    st.booleans(),
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([C, S]), junk), max_size=8))
def test_any_bytes_become_messages_or_are_told_unparsable_and_never_an_exception(
    steps: list[tuple[Direction, bytes]],
) -> None:
    fed, at = [], {C: 0, S: 0}
    for n, (way, data) in enumerate(steps):
        if data:
            fed.append(chunk(way, at[way], data, (n + 1) * MS))
            at[way] += len(data)
    told = tell(fed)
    check_ledger(told.ledger.bytes, fed)
    assert told.held == 0


@settings(max_examples=300, deadline=None)
@given(st.lists(wild, max_size=30))
def test_any_chunks_in_any_order_are_accounted_for_and_never_an_exception(fed: list[Chunk]) -> None:
    told = tell(fed, opened=False)
    check_ledger(told.ledger.bytes, fed)
    assert told.held == 0
