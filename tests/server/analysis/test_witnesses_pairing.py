"""Pairing for any traffic: never two views of one side, never across connections, none lost or doubled."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.wire import Endpoint, Record
from server.analysis.clocks import SKEW_NS
from server.analysis.witnesses import Pending, mark_of, view_of
from tests.server.records import MS, NOON, record

Call = tuple[int, int]  # connection, number


@dataclass(frozen=True, slots=True)
class Sight:
    """One side's record of a call, and the number of the real call."""

    call: Call
    side: str
    record: Record


def sights(calls: list[Call], protocol: str, skew: int, nodes: int) -> list[Sight]:
    """Both views of each call, alike except for the client's port. Calls of one connection are 1 ms apart
    (HTTP/1); calls of different connections, and all of HTTP/2, run concurrently.
    """
    found = []
    for connection, number in calls:
        start = NOON + connection * MS // 7 + (number * 3 * MS if protocol == "h1" else number * MS // 5)
        for side in ("client", "server"):
            one = record(
                number,
                side,
                start=start,
                port=40000 + connection,
                client=Endpoint("10.0.0.1", 40000 + connection),
                server=Endpoint("10.96.0.1", 80) if side == "client" else Endpoint("10.1.0.2", 8080),
                protocol=protocol,
            )
            if side == "server" and nodes > 1:
                one = elsewhere(one, skew)
            found.append(Sight((connection, number), side, one))
    return found


def elsewhere(one: Record, skew: int) -> Record:
    """As reported by another node's agent, whose clock is ahead by `skew` ns."""
    moments = ("request_start", "request_end", "first_byte", "end")
    shifted = {name: at + skew for name in moments if (at := getattr(one.timing, name)) is not None}
    timing = replace(one.timing, **shifted)
    return replace(one, node="node-2", agent="agent-2", time=one.time + skew, timing=timing)


def paired(arriving: list[Sight]) -> list[tuple[Sight, Sight]]:
    """The pairs made of views in this order, each view used at most once."""
    pending, pairs = Pending(), []
    for number, sight in enumerate(arriving):
        mark = mark_of(sight.record)
        assert mark is not None
        view = view_of(sight.record, number, mark)
        other = pending.take(view)
        if other is None:
            pending.add(view)
        else:
            pairs.append((arriving[other.exchange], sight))
    assert len(pending) == len(arriving) - 2 * len(pairs), "a view was lost or counted twice"
    return pairs


def truly(pairs: list[tuple[Sight, Sight]]) -> Counter[Call]:
    """The calls that were paired; asserts that each pair is one call."""
    for one, other in pairs:
        assert {one.side, other.side} == {"client", "server"}
        assert one.call == other.call
    return Counter(one.call for one, _ in pairs)


traffic = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=40, unique=True)
protocols = st.sampled_from(["h1", "h2", "grpc"])
skews = st.integers(-(SKEW_NS - 2 * MS), SKEW_NS - 2 * MS)


@settings(deadline=None)
@given(st.data(), traffic, protocols, st.sampled_from([1, 2]), skews)
def test_in_any_order_every_call_is_paired_once_and_with_its_own(
    data: st.DataObject, calls: list[Call], protocol: str, nodes: int, skew: int
) -> None:
    arriving = data.draw(st.permutations(sights(calls, protocol, skew, nodes)))
    assert truly(paired(arriving)) == Counter(calls)


@settings(deadline=None)
@given(st.data(), traffic, protocols, st.sampled_from([1, 2]), skews)
def test_of_records_that_never_come_the_other_view_stays_alone(
    data: st.DataObject, calls: list[Call], protocol: str, nodes: int, skew: int
) -> None:
    every = sights(calls, protocol, skew, nodes)
    came = [sight for sight in every if data.draw(st.booleans())]
    both = [call for call, count in Counter(sight.call for sight in came).items() if count == 2]
    assert truly(paired(data.draw(st.permutations(came)))) == Counter(both)


@settings(deadline=None)
@given(st.data(), st.integers(1, 12), st.sets(st.integers(0, 11), max_size=4))
def test_a_side_that_lost_calls_before_they_were_parsed_counts_on_and_is_still_paired(
    data: st.DataObject, count: int, lost: set[int]
) -> None:
    """From then on its ordinals are behind: times decide."""
    every = sights([(0, n) for n in range(count)], "h1", 0, 1)
    kept = [sight for sight in every if sight.side == "client" or sight.call[1] not in lost]
    behind = [_numbered(sight, lost) if sight.side == "server" else sight for sight in kept]
    clients = [sight for sight in behind if sight.side == "client"]
    servers = [sight for sight in behind if sight.side == "server"]
    for arriving in (clients + servers, servers + clients, sorted(behind, key=lambda one: one.call)):
        assert truly(paired(arriving)) == Counter((0, n) for n in range(count) if n not in lost)


def _numbered(sight: Sight, lost: set[int]) -> Sight:
    number = sight.call[1]
    stream = number - len([one for one in lost if one < number])
    return dataclasses.replace(sight, record=replace(sight.record, stream=stream))


@settings(deadline=None)
@given(st.data(), traffic, st.sampled_from([1, 2]), skews, st.sets(st.integers(0, 9)))
def test_whatever_is_lost_where_no_call_is_given_to_another_connection(
    data: st.DataObject, calls: list[Call], nodes: int, skew: int, lost: set[int]
) -> None:
    every = [
        _numbered(sight, lost) if sight.side == "server" else sight
        for sight in sights(calls, "h1", skew, nodes)
        if sight.side == "client" or sight.call[1] not in lost
    ]
    for one, other in paired(data.draw(st.permutations(every))):
        assert {one.side, other.side} == {"client", "server"}
        assert one.call[0] == other.call[0]


@pytest.mark.parametrize("skew", [-3 * SKEW_NS, 3 * SKEW_NS])
def test_clocks_further_apart_than_the_bound_leave_each_view_alone(skew: int) -> None:
    assert paired(sights([(0, n) for n in range(5)], "h1", skew, 2)) == []


def test_calls_out_of_step_are_paired_across_clocks_once_these_were_compared() -> None:
    every = sights([(0, n) for n in range(6)], "h1", 700 * MS, 2)
    lost = {2}
    kept = [
        _numbered(sight, lost) if sight.side == "server" else sight
        for sight in every
        if sight.side == "client" or sight.call[1] not in lost
    ]
    different = [
        dataclasses.replace(one, record=_asking(one.record, f"/users/{one.call[1]}".encode())) for one in kept
    ]
    pending, pairs, left = Pending(), [], []
    views = [view_of(one.record, number, mark_of(one.record)) for number, one in enumerate(different)]
    for view in views:
        other = pending.take(view)
        if other is None:
            pending.add(view)
            left.append(view)
        else:
            pairs.append((different[other.exchange], different[view.exchange]))
    for view in left:
        pending.remove(view)
        other = pending.take_last(view).found
        if other is not None:
            pairs.append((different[other.exchange], different[view.exchange]))
    assert truly(pairs) == Counter((0, n) for n in range(6) if n not in lost)


def test_a_client_that_did_not_wait_for_its_answer_says_nothing_of_the_clocks() -> None:
    """Its view ends long before the server's, as if its clock were behind."""
    gone, answered = sights([(0, 0)], "h1", 0, 2)
    slow = replace(answered.record.timing, end=NOON + 400 * MS)
    begun = replace(gone.record.timing, first_byte=None, end=None)
    arriving = [
        dataclasses.replace(gone, record=replace(gone.record, response=None, timing=begun)),
        dataclasses.replace(answered, record=replace(answered.record, timing=slow)),
        *sights([(1, 0), (1, 67)], "h1", 0, 2)[0::3],  # 201 ms apart, one view of each call
    ]
    assert truly(paired(arriving)) == Counter([(0, 0)])


def _asking(one: Record, path: bytes) -> Record:
    assert one.request is not None
    return replace(one, request=replace(one.request, path=path))


def test_a_connection_met_again_by_an_agent_that_was_restarted_is_still_paired() -> None:
    every = sights([(0, n) for n in range(6)], "h1", 0, 1)
    again = [
        dataclasses.replace(
            one, record=replace(one.record, stream=one.call[1] - 3, connection="after the restart")
        )
        if one.side == "server" and one.call[1] >= 3
        else one
        for one in every
    ]
    assert truly(paired(again)) == Counter((0, n) for n in range(6))
