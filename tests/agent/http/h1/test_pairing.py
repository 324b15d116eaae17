"""Pairing after a gap, as conversations in which messages were lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import Chunk, Tick
from agent.http.connections import connections
from agent.http.h1 import pairing
from agent.http.messages import Completeness
from agent.ledger import Ledger
from agent.streams.table import Limits
from tests.agent.http.talks import C, S, Steps, chunks, tell

MS = 1_000_000


def ask(n: int) -> bytes:
    return b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n


def say(n: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nX-N: %d\r\nContent-Length: %d\r\n\r\n%d" % (n, len(str(n)), n)


def story(words: str) -> tuple[Steps, set[int]]:
    """`q1 a1 -q2 q3+q4`: request 1, its response, a lost request 2, requests 3 and 4 in one segment."""
    steps: Steps = []
    lost = set()
    for word in words.split():
        if word.startswith("-"):
            lost.add(len(steps))
        parts = word.lstrip("-").split("+")
        raw = b"".join((ask if part[0] == "q" else say)(int(part[1:])) for part in parts)
        steps.append((C if parts[0][0] == "q" else S, raw))
    return steps, lost


def heard(words: str, from_start: bool = True) -> list[str]:
    """The exchanges of a conversation as `q1=a1`, `q2` (no response) and `a3` (no request)."""
    steps, lost = story(words)
    made = [c for n, c in enumerate(chunks(steps, from_start)) if n not in lost]
    return pairs(made, from_start)


def pairs(made: Sequence[Chunk | Tick], from_start: bool = True) -> list[str]:
    found = []
    for x in tell(made, opened=from_start).exchanges:
        asked = "" if x.request is None else f"q{x.request.target[1:].decode()}"
        said = "" if x.response is None else f"a{x.response.body.data.decode()}"
        found.append("=".join(part for part in (asked, said) if part))
    return sorted(found)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("q1 a1 q2 a2", "q1=a1 q2=a2"),
        ("q1+q2 a1+a2", "q1=a1 q2=a2"),
        # A lost request: its response has no request, all others are paired.
        ("q1 a1 -q2 a2 q3 a3 q4 a4", "q1=a1 a2 q3=a3 q4=a4"),
        ("-q1 a1 q2 a2", "a1 q2=a2"),
        # A lost response, which shows only when the next one is read: it cannot be known which one was lost.
        ("q1 -a1 q2 a2 q3 a3", "q1 q2 a2 q3=a3"),
        ("q1 a1 q2 -a2 q3 a3 q4 a4", "q1=a1 q2 q3 a3 q4=a4"),
        # Both lost: the next response does not belong to the last captured request.
        ("q1 -a1 -q2 a2 q3 a3", "q1 a2 q3=a3"),
        ("q1 a1 q2 -a2 -q3 a3 q4 a4", "q1=a1 q2 a3 q4=a4"),
        ("q1 a1 -q2 -a2 q3 a3 q4 a4", "q1=a1 q3 a3 q4=a4"),
        # A pipelining client: after a gap no pair is certain.
        ("q1+q2 a1+a2 q3+q4 -a3 a4 q5 a5", "q1=a1 q2=a2 q3 q4 a4 q5 a5"),
        ("q1+q2 a1+a2 -q3 q4 a3 a4", "q1=a1 q2=a2 q4 a3 a4"),
    ],
)
def test_after_a_hole(words: str, expected: str) -> None:
    assert heard(words) == sorted(expected.split())


def test_pipelining_shows_by_a_request_that_did_not_wait() -> None:
    assert heard("q1 q2 a1 a2 q3 q4 -a3 a4 q5 a5") == sorted(["q1=a1", "q2=a2", "q3", "q4", "a4", "q5", "a5"])


def test_a_late_join_pairs_from_the_first_request_on() -> None:
    assert heard("a0 q1 a1 q2 a2", from_start=False) == ["a0", "q1=a1", "q2=a2"]


def test_a_response_before_any_request_is_a_late_join() -> None:
    exchanges = tell(
        chunks([(S, say(0)), (C, ask(1)), (S, say(1))], from_start=False), opened=False
    ).exchanges
    assert [x.completeness for x in exchanges] == [Completeness.LATE_JOIN, Completeness.COMPLETE]


def test_a_request_captured_after_its_response_is_waited_for() -> None:
    first, second = chunks([(C, ask(1)), (S, say(1))])
    assert pairs([second, first]) == ["q1=a1"]


def test_but_not_for_ever_and_then_it_may_not_take_the_next_response() -> None:
    asked, said, *rest = chunks(
        [(C, ask(1)), (S, say(1)), (C, ask(2)), (S, say(2)), (C, ask(3)), (S, say(3))]
    )
    late = [replace(c, time_ns=c.time_ns + 300 * MS) for c in rest]
    found = pairs([said, Tick(said.time_ns + 250 * MS), asked, *late])
    assert found[0] == "a1"
    assert "q1=a2" not in found


def test_a_request_held_for_reordering_past_a_hole_in_the_responses_is_not_answered() -> None:
    made = chunks([(C, ask(0)), (S, say(0)), (C, ask(1)), (S, say(1)), (C, ask(2)), (S, say(2))])
    hole = replace(made[3], data=b"")  # sendfile
    # Request 1 waits for the lost request 0; response 0 is given up earlier, so that the gap is read first.
    fed: list[Chunk | Tick] = [made[1], made[2], hole, Tick(made[1].time_ns + 200 * MS), made[5]]
    assert pairs(fed) == ["a0", "a2", "q1"]


def test_a_request_read_after_its_answer_was_told_alone_is_not_given_the_next_answer() -> None:
    _, _, q1, a1, q2, a2, _, a3, q4, a4 = (
        replace(c, direction=c.direction.opposite)  # captured at the server
        for c in chunks([(way, words(n)) for n in range(5) for way, words in ((C, ask), (S, say))])
    )
    # Both halves wait for their lost beginnings. The responses are given up first, so 1 and 2 are reported
    # alone. The loss of request 3 does not show yet when its response is read.
    later = [replace(c, time_ns=c.time_ns + 250 * MS) for c in (a3, q4, a4)]
    assert pairs([q1, a1, q2, a2, *later]) == ["a1", "a2", "a3", "q1", "q2", "q4=a4"]


PIPELINED = 2_000


def test_pipelined_requests_are_answered_in_order_however_many_they_are() -> None:
    steps = [(C, b"".join(map(ask, range(PIPELINED)))), (S, b"".join(map(say, range(PIPELINED))))]
    assert pairs(chunks(steps)) == sorted(f"q{n}=a{n}" for n in range(PIPELINED))


def test_requests_without_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "MAX_OUTSTANDING", 128)
    steps = [(C, ask(n)) for n in range(128 * 3)]
    told = tell(chunks(steps), closed=False)
    assert len(told.exchanges) == len(steps)
    assert all(x.response is None for x in told.exchanges)


def test_the_memory_of_requests_that_wait_behind_others_is_counted() -> None:
    raw = b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 10_000 + b"\r\n\r\n"
    table = connections(Limits(), 0, Ledger())
    for chunk in chunks([(C, raw)] * 100):
        list(table.feed(chunk))
    assert table.held > 99 * len(raw)
    list(table.finish(0))
    assert table.held == 0


def test_a_response_lost_in_the_middle_of_its_head_leaves_the_request_alone() -> None:
    made = chunks(
        [(C, ask(1)), (S, say(1)[:10]), (S, say(1)[10:20]), (S, say(1)[20:]), (C, ask(2)), (S, say(2))]
    )
    assert pairs([c for c in made if c is not made[2]]) == ["q1", "q2=a2"]


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=8), st.booleans()
)
def test_an_absolute_ordinal_is_that_of_the_request_whatever_was_lost(
    calls: list[tuple[bool, bool, bool]], from_start: bool
) -> None:
    words = " ".join(
        f"{'-' * is_asked_lost}q{n} {'-' * is_said_lost}a{n}"
        if not is_piped
        else f"{'-' * is_asked_lost}q{n}"
        for n, (is_asked_lost, is_said_lost, is_piped) in enumerate(calls)
    )
    steps, lost = story(words)
    made = [c for n, c in enumerate(chunks(steps, from_start)) if n not in lost]
    told = tell(made, opened=from_start).exchanges
    for x in told:
        if x.absolute:
            assert x.request is not None
            assert x.request.target == b"/%d" % x.ordinal
    nothing_unasked = from_start and not any(is_asked_lost for is_asked_lost, _, _ in calls)
    assert not nothing_unasked or all(x.absolute for x in told if x.request is not None)
    assert from_start or not any(x.absolute for x in told)
