"""Chunks by position become ordered bytes and reported gaps."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.events import Chunk, ConnectionKey, Direction
from agent.ledger import Bytes
from agent.streams.half import WINDOW, Data, Gap, GapReason, Half, Segment, Window

KEY = ConnectionKey("socket", 1, 1)
MS = 1_000_000


def chunk(position: int, data: bytes, *, at: int = 0, length: int | None = None) -> Chunk:
    size = len(data) if length is None else length
    return Chunk(at * MS, KEY, Direction.SENT, position, size, data, 7, None, None, None, True)


def half_of(window: Window = WINDOW) -> Half:
    return Half(Counter(), window)


def text(segments: list[Segment]) -> list[bytes | int]:
    """Data as bytes, gaps as their length."""
    return [segment.data if isinstance(segment, Data) else segment.length for segment in segments]


def test_chunks_in_order_pass_as_they_are() -> None:
    half = half_of()
    assert half.add(chunk(0, b"ab", at=1)) == [Data(MS, b"ab")]
    assert half.add(chunk(2, b"c", at=2)) == [Data(2 * MS, b"c")]


def test_a_chunk_that_came_too_early_waits_for_the_one_before() -> None:
    half = half_of()
    assert half.add(chunk(2, b"cd")) == []
    assert half.waiting
    assert text(half.add(chunk(0, b"ab"))) == [b"ab", b"cd"]
    assert not half.waiting
    assert half.pending_bytes == 0


def test_what_came_already_is_trimmed() -> None:
    counts: Counter[str] = Counter()
    half = Half(counts)
    half.add(chunk(0, b"abcd"))
    assert half.add(chunk(0, b"abcd")) == []
    assert text(half.add(chunk(2, b"cdef"))) == [b"ef"]
    assert counts == {Bytes.LATE: 4 + 2}


def test_what_was_not_copied_is_a_gap_of_known_length() -> None:
    assert half_of().add(chunk(0, b"ab", length=10)) == [Data(0, b"ab"), Gap(0, 8, GapReason.UNCAPTURED)]
    assert half_of().add(chunk(0, b"", length=10)) == [Gap(0, 10, GapReason.UNCAPTURED)]
    capped = replace(chunk(0, b"ab", length=10), capped=True)
    assert half_of().add(capped) == [Data(0, b"ab"), Gap(0, 8, GapReason.CAPPED)]


def test_a_missing_chunk_is_a_gap_once_the_window_has_passed() -> None:
    half = half_of()
    half.add(chunk(0, b"ab"))
    half.add(chunk(5, b"fg", at=10))
    assert half.expire(209 * MS) == []
    assert half.expire(210 * MS) == [Gap(10 * MS, 3, GapReason.LOST), Data(10 * MS, b"fg")]
    assert half.add(chunk(2, b"cde", at=211)) == [], "it was stated as a gap"


def test_the_window_is_bounded_in_chunks_and_bytes() -> None:
    few = half_of(Window(chunks=2))
    assert not few.add(chunk(10, b"a")) + few.add(chunk(20, b"b"))
    assert text(few.add(chunk(30, b"c"))) == [10, b"a"]
    small = half_of(Window(bytes=10))
    assert text(small.add(chunk(5, b"a" * 11))) == [5, b"a" * 11]


def test_flush_states_every_gap() -> None:
    half = half_of()
    half.add(chunk(3, b"d"))
    half.add(chunk(5, b"f"))
    assert text(half.flush()) == [3, b"d", 1, b"f"]


def test_more_data_than_length_is_cut_to_it() -> None:
    assert text(half_of().add(chunk(0, b"abcdef", length=2))) == [b"ab"]


stories = st.lists(
    st.tuples(st.integers(0, 120), st.integers(0, 30), st.integers(0, 30), st.integers(0, 500)), max_size=40
)


@settings(deadline=None)
@given(stories, st.integers(1, 8), st.integers(1, 60))
def test_every_position_is_told_once_in_order_and_truly_and_every_byte_is_told_or_late(
    story: list[tuple[int, int, int, int]], chunks: int, size: int
) -> None:
    true = bytes(n % 251 for n in range(200))
    counts: Counter[str] = Counter()
    half, told, fed = Half(counts, Window(bytes=size, chunks=chunks)), list[Segment](), 0
    for position, length, captured, at in story:
        piece = chunk(position, true[position : position + min(length, captured)], at=at, length=length)
        fed = max(fed, position + length if length else 0)
        told += half.add(piece)
        told += half.expire(at * MS)
        assert half.pending_bytes <= size
    told += half.flush()
    at = 0
    for segment in told:
        if isinstance(segment, Data):
            assert segment.data == true[at : at + len(segment.data)]
            assert segment.data
            at += len(segment.data)
        else:
            assert segment.length > 0
            at += segment.length
    assert at == half.position
    assert fed <= at
    lost = sum(one.length for one in told if isinstance(one, Gap) and one.why is GapReason.LOST)
    assert at - lost + counts[Bytes.LATE] == sum(length for _, length, _, _ in story)
