"""Views wait as in the table of holding.py."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from server.analysis.witnesses import View, mark_of, view_of
from server.ingest import holding
from server.ingest.holding import BACKLOG_S, IDLE_S, LIVE_NS, LIVE_S, SLACK_NS, SPARE, SettledBy, ViewHold
from tests.server.records import MS, NOON, record

S = 1_000_000_000
HOUR_S = 3600.0


def view(number: int, side: str = "client", ended: int = NOON) -> View:
    """The view of a numbered call that ended at a time."""
    one = record(number, side, f"/{number}", start=ended - 2 * MS)
    mark = mark_of(one)
    assert mark is not None
    return view_of(one, number if side == "client" else number + 1_000_000, mark)


def held(*numbers: int, ended: int = NOON, into: ViewHold | None = None) -> ViewHold:
    """Holds the client's views of these calls."""
    found = ViewHold() if into is None else into
    for number in numbers:
        found.hold(view(number, ended=ended), record(number, "client", f"/{number}"), 1000)
    return found


def due(of: ViewHold, now: int = NOON, at: float = 0.0) -> Sequence[tuple[int, SettledBy]]:
    return [(one.number, why) for one, why in of.due(now, at)]


def test_a_view_is_held_until_its_other_half_comes() -> None:
    one = held(1, 2)
    other = one.match(view(2, "server"))
    assert other is not None
    released = one.release(other.exchange)
    assert released is not None
    assert (released.number, released.record) == (2, record(2, "client", "/2"))
    assert one.match(view(2, "server")) is None
    assert len(one) == 1


def test_a_view_is_due_once_every_active_agent_has_passed_its_end_by_the_slack() -> None:
    one = held(1)
    one.record_delivery("a", "e", NOON + SLACK_NS + 2 * MS, 0)
    one.record_delivery("b", "e", NOON + SLACK_NS - 2 * MS, 0)
    assert due(one) == []
    one.record_delivery("b", "e", NOON + SLACK_NS + 2 * MS, 0)
    assert due(one) == [(1, SettledBy.WATERMARK)]
    assert (len(one), due(one)) == (0, [])
    assert one.match(view(1, "server")) is None


def test_an_idle_agent_holds_no_live_view() -> None:
    one = ViewHold()
    one.record_delivery("idle", "e", NOON - 60 * S, 0)
    one.record_delivery("active", "e", NOON + 2 * S, IDLE_S + 1)
    held(1, into=one)
    assert due(one, at=IDLE_S + 1) == [(1, SettledBy.WATERMARK)]


def test_without_any_agent_a_live_view_waits_for_its_limit() -> None:
    one = held(1)
    assert due(one, at=10) == []
    assert due(one, at=10 + LIVE_S - 0.01) == []
    assert due(one, at=10 + LIVE_S) == [(1, SettledBy.TIME)]


@pytest.mark.parametrize("ahead", [LIVE_NS + 1 * S, -LIVE_NS - 1 * S])
def test_a_view_of_a_backlog_waits_longer_and_so_does_one_of_a_clock_that_is_wrong(ahead: int) -> None:
    one = held(1, ended=NOON + ahead)
    assert due(one, at=0) == []
    assert due(one, at=BACKLOG_S - 0.01) == []
    assert due(one, at=BACKLOG_S) == [(1, SettledBy.TIME)]


def test_an_agent_whose_clock_is_an_hour_behind_holds_others_no_longer_than_their_limit() -> None:
    one = held(1)
    one.record_delivery("right", "e", NOON + 2 * S, 0)
    one.record_delivery("behind", "e", NOON - 3600 * S, 0)
    assert due(one, at=0) == []
    one.record_delivery("behind", "e", NOON - 3598 * S, LIVE_S)
    assert due(one, at=LIVE_S) == [(1, SettledBy.TIME)]


def test_after_an_outage_a_backlog_waits_for_the_agents_that_are_not_back_yet() -> None:
    one = ViewHold()
    one.record_delivery("a", "e", NOON, 0)
    one.record_delivery("b", "e", NOON, 0)
    ended, now = NOON + 60 * S, NOON + 600 * S
    held(1, ended=ended, into=one)
    one.record_delivery("a", "e", ended + 2 * S, 600)
    assert due(one, now, 600) == []
    one.record_delivery("b", "e", ended + 2 * S, 620)
    assert due(one, now, 620) == [(1, SettledBy.WATERMARK)]
    held(2, ended=ended + 60 * S, into=one)
    # b has not delivered for more than an hour
    one.record_delivery("a", "e", ended + 62 * S, 620 + HOUR_S + 1)
    assert due(one, now + 3601 * S, 620 + HOUR_S + 1) == [(2, SettledBy.WATERMARK)]


def test_an_agents_new_start_says_anew_how_far_it_is() -> None:
    one = held(1)
    one.record_delivery("a", "first", NOON + 60 * S, 0)
    one.record_delivery("a", "second", NOON - 60 * S, 0)
    assert due(one) == []
    one.record_delivery("a", "second", NOON + 60 * S, 0)
    one.record_delivery("a", "second", NOON + 60 * S - SLACK_NS, 0)  # out of order: the later time stays
    assert one.watermark(0) == NOON + 60 * S


def test_agents_of_one_name_in_two_clusters_are_both_waited_for() -> None:
    one = held(1)
    one.record_delivery("a", "e", NOON - 60 * S, 0, "east")
    one.record_delivery("a", "f", NOON + 60 * S, 0, "west")
    assert (one.watermark(0), due(one)) == (NOON - 60 * S, [])
    one.record_delivery("a", "e", NOON + 30 * S, 0, "east")
    assert one.watermark(0) == NOON + 30 * S


def test_an_agent_that_names_its_cluster_later_is_still_the_same() -> None:
    one = held()
    one.record_delivery("a", "e", NOON, 0)
    one.record_delivery("a", "e", NOON + 5 * S, 0, "east")
    assert one.watermark(0) == NOON + 5 * S
    one.record_delivery("a", "f", NOON + 3 * S, 0)
    one.record_delivery("a", "e", NOON + 9 * S, 0, "east")
    assert one.watermark(0) == NOON + 3 * S  # another start, whose cluster is not known


def test_an_agent_whose_clock_was_ahead_and_was_set_is_not_ahead_any_more() -> None:
    one = held(1)
    one.record_delivery("a", "e", NOON + 3600 * S, 0)
    one.record_delivery("a", "e", NOON, 0)
    assert due(one) == []
    one.record_delivery("a", "e", NOON + SLACK_NS, 0)
    assert due(one) == [(1, SettledBy.WATERMARK)]


def test_views_that_wait_are_bounded_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MAX_HELD", 10)
    one = held(*range(13))
    assert due(one) == [(number, SettledBy.MEMORY) for number in range(3)]
    assert len(one) == 10


def test_records_in_memory_are_bounded_in_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MAX_RECORDS", 3)
    one = held(*range(5))
    kept = {found.number: found.record is not None for number in range(5) if (found := one.release(number))}
    assert kept == {0: True, 1: True, 2: True, 3: False, 4: False}
    held(5, into=one)
    assert (again := one.release(5)) is not None
    assert again.record is not None
    monkeypatch.setattr(holding, "MAX_BYTES", 1500)
    held(6, 7, into=one)
    kept = {found.number: found.record is not None for number in (6, 7) if (found := one.release(number))}
    assert kept == {6: True, 7: False}


def test_agents_are_bounded_and_who_delivered_last_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MAX_AGENTS", 2)
    one = ViewHold()
    for number, name in enumerate("abac"):
        one.record_delivery(name, "e", NOON + number, 0)
    assert one.watermark(0) == NOON + 2  # a's, since b is forgotten


def test_what_is_settled_leaves_nothing_behind_however_long_agents_stand_still() -> None:
    one = ViewHold()
    one.record_delivery("behind", "e", 0, 0)
    for number in range(3000):
        held(number, into=one)
        assert due(one) == []
        one.match(view(number, "server"))
        one.release(number)
    assert all(len(queue._heap) <= SPARE + 1 for queue in (one._live.by_end, one._live.by_time))
    assert len(one._pending) == 0


def test_what_the_store_does_not_know_yet_is_said_once() -> None:
    one = held(1, 2, 3)
    one.release(2)
    assert one.take_new() == [1, 3]
    assert one.take_new() == []
    held(4, into=one)
    assert one.take_new() == [4]


def test_after_undone_work_those_are_held_that_the_store_says() -> None:
    one = held(1, 2, 3)
    ids = {1: "client-40000-1", 3: "another record", 4: "client-40000-4"}
    assert one.forget(ids) == [3, 4]
    assert (one.release(1) is not None, one.release(2), len(one)) == (True, None, 0)
    assert one.match(view(2, "server")) is None
    assert one.take_new() == []


@pytest.mark.parametrize("looked", [False, True])
def test_undone_work_makes_no_view_wait_longer(looked: bool) -> None:
    one = held(1)
    assert not looked or due(one) == []
    for at in range(4):
        assert one.forget({1: "client-40000-1"}) == []
        assert due(one, at=at / 2) == []
    assert due(one, at=LIVE_S) == [(1, SettledBy.TIME)]
