"""TCP segments become the events of a connection, whatever order, loss and repetition the network had."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.events import Address, Chunk, Closed, Direction, Event, Opened, Role
from agent.sources.tcp import LIMITS, SEQUENCE, Flows, ReassemblyBounds, Segment
from agent.streams.half import Gap, GapReason, Half

CLIENT, SERVER = Address("10.0.0.2", 51000), Address("10.0.0.1", 8080)
ISN, PEER_ISN = 1000, 5000
MILLISECOND = 1_000_000


def segment(
    place: int,
    data: bytes = b"",
    *,
    at: int = 0,
    ack: int | None = 0,
    answer: bool = False,
    length: int | None = None,
    syn: bool = False,
    fin: bool = False,
    reset: bool = False,
    isns: tuple[int, int] = (ISN, PEER_ISN),
) -> Segment:
    """`place` and `ack` are byte counts of the streams; of the client's unless `answer`. `at` is in ms."""
    own, other = (isns[1], isns[0]) if answer else isns
    source, target = (SERVER, CLIENT) if answer else (CLIENT, SERVER)
    return Segment(
        time_ns=at * MILLISECOND,
        source=source,
        target=target,
        sequence=(own + place + (0 if syn else 1)) % SEQUENCE,
        ack=None if ack is None else (other + 1 + ack) % SEQUENCE,
        syn=syn,
        fin=fin,
        reset=reset,
        data=data,
        length=len(data) if length is None else length,
    )


def handshake(isns: tuple[int, int] = (ISN, PEER_ISN)) -> list[Segment]:
    return [
        segment(0, ack=None, syn=True, isns=isns),
        segment(0, syn=True, answer=True, isns=isns),
        segment(0, isns=isns),
    ]


def events(segments: Iterable[Segment], bounds: ReassemblyBounds | None = None) -> list[Event]:
    flows = Flows(bounds)
    return [event for one in segments for event in flows.feed(one)] + flows.finish()


def streams(found: Iterable[Event]) -> dict[Direction, list[bytes | int]]:
    """Each half as the pipeline receives it: bytes joined, a gap as its length (negative if not copied)."""
    halves = {way: Half(Counter(), LIMITS.window) for way in Direction}
    out: dict[Direction, list[bytes | int]] = {way: [] for way in Direction}
    for event in found:
        if isinstance(event, Chunk):
            for told in halves[event.direction].add(event):
                parts = out[event.direction]
                if isinstance(told, Gap):
                    parts.append(told.length if told.why is GapReason.LOST else -told.length)
                elif parts and isinstance(parts[-1], bytes):
                    parts[-1] += told.data
                else:
                    parts.append(told.data)
    assert not any(half.waiting for half in halves.values())
    return out


def sent(found: Iterable[Event]) -> list[bytes | int]:
    return streams(found)[Direction.SENT]


def test_a_connection_is_opened_read_both_ways_and_closed() -> None:
    found = events(
        [
            *handshake(),
            segment(0, b"ask"),
            segment(0, b"answer", ack=3, answer=True),
            segment(6, ack=3, answer=True, fin=True),
            segment(3, ack=7, fin=True),
        ]
    )
    opened = found[0]
    assert isinstance(opened, Opened)
    assert (opened.local, opened.peer, opened.role) == (CLIENT, SERVER, Role.CLIENT)
    assert streams(found) == {Direction.SENT: [b"ask"], Direction.RECEIVED: [b"answer"]}
    assert isinstance(found[-1], Closed)
    assert [type(one) for one in found].count(Closed) == 1


@pytest.mark.parametrize("isn", [ISN, SEQUENCE - 1, SEQUENCE - 3])
def test_what_comes_too_early_waits_also_where_sequence_numbers_wrap(isn: int) -> None:
    isns = (isn, PEER_ISN)
    found = events([*handshake(isns), segment(3, b"def", isns=isns), segment(0, b"abc", isns=isns)])
    assert sent(found) == [b"abcdef"]


def test_what_is_sent_again_counts_once_and_the_first_of_overlaps_stays() -> None:
    again = [
        segment(0, b"abc"),
        segment(0, b"abc"),
        segment(1, b"XXde"),
        segment(0, b"zzzzz"),
        segment(5, b"f"),
    ]
    assert sent(events([*handshake(), *again])) == [b"abcdef"]


def test_a_hole_that_the_other_side_has_acknowledged_is_stated_at_once() -> None:
    flows = Flows()
    for one in handshake():
        flows.feed(one)
    flows.feed(segment(0, b"abc"))
    assert flows.feed(segment(6, b"ghi")) == []
    (chunk,) = flows.feed(segment(0, ack=9, answer=True))
    assert isinstance(chunk, Chunk)
    assert chunk.position == 6


def test_a_hole_that_was_acknowledged_before_what_follows_came_is_not_waited_for() -> None:
    found = [*handshake(), segment(0, b"abc"), segment(0, ack=6, answer=True), segment(6, b"ghi")]
    flows = Flows()
    told = [event for one in found for event in flows.feed(one)]
    assert sent(told) == [b"abc", 3, b"ghi"]


def test_a_hole_that_nobody_acknowledges_is_stated_after_a_while_or_at_the_end() -> None:
    early = [*handshake(), segment(3, b"def", at=1)]
    assert sent(events(early)) == [3, b"def"]
    flows = Flows()
    told = [event for one in [*early, segment(6, b"ghi", at=20_000)] for event in flows.feed(one)]
    assert sent(told) == [3, b"defghi"]


def test_the_end_of_a_packet_beyond_the_snap_length_is_a_stated_gap() -> None:
    found = events([*handshake(), segment(0, b"abc", length=10), segment(10, b"klm")])
    assert sent(found) == [b"abc", -7, b"klm"]


def test_without_a_syn_a_connection_is_joined_late() -> None:
    found = events([segment(500, b"abc"), segment(700, b"xyz", ack=503, answer=True), segment(503, b"def")])
    chunks = [one for one in found if isinstance(one, Chunk)]
    assert [(one.direction, one.position, one.data) for one in chunks] == [
        (Direction.SENT, 0, b"abc"),
        (Direction.RECEIVED, 0, b"xyz"),
        (Direction.SENT, 3, b"def"),
    ]
    assert not any(one.from_start for one in chunks)
    assert {one.role for one in chunks} == {None}


def test_the_answer_to_a_syn_alone_tells_both_starts() -> None:
    found = events([*handshake()[1:], segment(0, b"ask"), segment(0, b"answer", ack=3, answer=True)])
    assert isinstance(found[0], Opened)
    assert found[0].local == CLIENT
    assert streams(found) == {Direction.SENT: [b"ask"], Direction.RECEIVED: [b"answer"]}


def test_a_reset_ends_a_connection_and_what_still_comes_is_not_its() -> None:
    found = events([*handshake(), segment(0, b"a"), segment(0, answer=True, reset=True), segment(1, b"b")])
    assert isinstance(found[-1], Closed)
    assert sent(found) == [b"a"]


def test_ports_that_are_used_again_are_another_connection() -> None:
    later = (9_000_000, 8_000_000)
    second = [replace(one, time_ns=50) for one in [*handshake(later), segment(0, b"new", isns=later)]]
    found = events([*handshake(), segment(0, b"old"), *second])
    keys = [one.connection for one in found if isinstance(one, Opened)]
    assert len(set(keys)) == 2
    chunks = [one for one in found if isinstance(one, Chunk)]
    assert [(one.connection, one.data) for one in chunks] == [(keys[0], b"old"), (keys[1], b"new")]


def test_a_server_that_ends_its_half_has_closed_by_the_end_of_the_capture() -> None:
    found = events([*handshake(), segment(0, b"answer", answer=True), segment(6, answer=True, fin=True)])
    assert isinstance(found[-1], Closed)


def test_what_waits_is_bounded_in_pieces_and_bytes_and_so_are_flows() -> None:
    early = [segment(10 + 2 * i, b"x") for i in range(50)]
    flows = Flows(ReassemblyBounds(held_segments=10))
    told = [event for one in [*handshake(), *early] for event in flows.feed(one)]
    assert len([one for one in told if isinstance(one, Chunk)]) == 40
    flows = Flows(ReassemblyBounds(half_bytes=10))
    told = [event for one in [*handshake(), *early] for event in flows.feed(one)]
    assert len([one for one in told if isinstance(one, Chunk)]) == 40
    flows = Flows(ReassemblyBounds(flows=5))
    for port in range(100):
        flows.feed(replace(segment(0, b"x"), source=Address("10.0.0.2", port)))
    assert len(flows) == 5


@settings(deadline=None)
@given(st.integers(), st.binary(min_size=1, max_size=60), st.integers(min_value=0, max_value=SEQUENCE - 1))
def test_any_cut_order_and_repetition_gives_the_same_bytes(seed: int, whole: bytes, isn: int) -> None:
    chance = random.Random(seed)
    isns = (isn, PEER_ISN)
    pieces = []
    for _ in range(chance.randint(0, 10)):
        start = chance.randrange(len(whole))
        pieces.append((start, whole[start : start + chance.randint(1, 30)]))
    pieces += [(at, whole[at : at + 7]) for at in range(0, len(whole), 7)]
    chance.shuffle(pieces)
    found = events([*handshake(isns), *(segment(at, data, isns=isns) for at, data in pieces)])
    assert sent(found) == [whole]


SEGMENTS = st.builds(
    Segment,
    time_ns=st.integers(min_value=0, max_value=2**62),
    source=st.sampled_from([CLIENT, SERVER, Address("::1", 1)]),
    target=st.sampled_from([CLIENT, SERVER, Address("::1", 1)]),
    sequence=st.integers(min_value=0, max_value=SEQUENCE - 1) | st.integers(min_value=1000, max_value=1030),
    ack=st.none() | st.integers(min_value=0, max_value=SEQUENCE - 1),
    syn=st.booleans(),
    fin=st.booleans(),
    reset=st.booleans(),
    data=st.binary(max_size=8),
    length=st.just(8),
)


@settings(deadline=None)
@given(st.lists(SEGMENTS, max_size=40))
def test_any_segments_are_chunks_in_order_and_never_an_exception(segments: list[Segment]) -> None:
    places: dict[tuple[object, Direction], int] = {}
    for event in events(segments):
        if isinstance(event, Chunk):
            half = (event.connection, event.direction)
            assert event.position >= places.get(half, 0)
            assert event.length > 0
            assert len(event.data) <= event.length
            places[half] = event.position + event.length
