"""Held views, lone views, and the addresses that agents watch."""

from __future__ import annotations

from agent.wire import Record, pack_record
from server.analysis.witnesses import View, mark_of, view_of
from server.store.draft import ExchangeDraft
from server.store.unit import Unit
from server.store.values import DAY_NS, HOUR_NS, LoneView, RetentionBounds, StoredView
from tests.server.records import MS, NOON, record
from tests.server.store.conformance.opened import OpenStore, take

MUCH = 2**40


def keep(unit: Unit, *records: Record, now: int = NOON) -> list[int]:
    """Stores views that wait."""
    numbers = [*unit.samples.numbers(len(records), now)]
    unit.samples.add_views(
        StoredView(number, one.id, number, pack_record(one))
        for number, one in zip(numbers, records, strict=True)
    )
    unit.held.add(numbers)
    return numbers


def mark(one: Record) -> int:
    found = mark_of(one)
    assert found is not None
    return found


def settle_alone(unit: Unit, *records: Record, now: int = NOON) -> list[ExchangeDraft]:
    drafts = take(unit, *records, now=now)
    unit.lone_views.add(
        LoneView(one.number, mark(one.records[0]), None, one.records[0].time) for one in drafts
    )
    return drafts


def held(opened: OpenStore) -> dict[int, str]:
    return dict(opened.do(lambda unit: unit.held.ids()))


def alone(opened: OpenStore, *records: Record) -> set[int]:
    return {*opened.do(lambda unit: unit.lone_views.marks([mark(one) for one in records]))}


def test_views_that_wait_are_there_after_a_restart_and_until_they_are_removed(opened: OpenStore) -> None:
    one, other = record(1), record(2)
    first, second = opened.do(lambda unit: keep(unit, one, other))
    opened.undo(lambda unit: unit.held.remove([first]))
    opened.again()
    assert held(opened) == {first: one.id, second: other.id}
    assert opened.do(lambda unit: unit.held.record(first)) == (one, len(pack_record(one)))
    assert opened.do(lambda unit: unit.held.record(second + 1)) is None
    opened.do(lambda unit: unit.held.remove([first]))
    assert held(opened) == {second: other.id}


def test_a_view_that_waits_is_known_and_shown_nowhere(opened: OpenStore) -> None:
    opened.do(lambda unit: keep(unit, record(1)))
    assert {*opened.do(lambda unit: unit.samples.known([record(1).id]))} == {record(1).id}
    assert opened.exchanges() == []
    with opened.store.reading() as reader:
        assert reader.exchanges.one(record(1).id) is None


def test_nothing_is_learned_from_that_came_after_a_view_that_waits(opened: OpenStore) -> None:
    (before,) = opened.do(lambda unit: take(unit, record(1)))
    (number,) = opened.do(lambda unit: keep(unit, record(2)))
    (after,) = opened.do(lambda unit: take(unit, record(3)))

    def learnable() -> list[int]:
        with opened.store.reading() as reader:
            return [one.number for one in reader.exchanges.after(0, 9)]

    assert learnable() == [before.number]
    opened.do(lambda unit: unit.held.remove([number]))
    assert learnable() == [before.number, after.number]


def test_views_settled_alone_are_found_by_mark_and_time(opened: OpenStore) -> None:
    first, second, other = record(1, "client"), record(2, "client"), record(3, "client", path="/other")
    drafts = opened.do(lambda unit: settle_alone(unit, first, second, other))
    views = [
        view_of(one, draft.number, mark(one)) for one, draft in zip((first, second), drafts, strict=False)
    ]
    opened.again()
    assert [*opened.do(lambda unit: unit.lone_views.near(NOON, mark(first)))] == views
    assert [*opened.do(lambda unit: unit.lone_views.near(NOON + DAY_NS, mark(first)))] == []
    missing = [record(4, "client", path=f"/{n}") for n in range(1200)]
    assert alone(opened, *missing, first, other) == {mark(first), mark(other)}
    opened.do(lambda unit: unit.lone_views.remove(drafts[0].number))
    assert [*opened.do(lambda unit: unit.lone_views.near(NOON, mark(first)))] == views[1:]
    assert alone(opened) == set()


def near(opened: OpenStore, record: Record) -> list[View]:
    return [*opened.do(lambda unit: unit.lone_views.near(record.time, mark(record)))]


def test_of_many_views_of_one_mark_the_nearest_are_found(opened: OpenStore) -> None:
    records = [record(0, "client", start=NOON + number * MS, id=f"at-{number}") for number in range(1500)]
    drafts = opened.do(lambda unit: settle_alone(unit, *records))
    for wanted in (0, 700, 1499):
        found = near(opened, records[wanted])
        assert drafts[wanted].number in {view.exchange for view in found}
        assert len(found) <= 64


def test_views_settled_alone_are_kept_for_a_day_from_their_arrival_to_the_hour(opened: OpenStore) -> None:
    early, late = record(1, "client", "/early"), record(2, "client", "/late")
    opened.do(lambda unit: settle_alone(unit, early, now=NOON))
    opened.do(lambda unit: settle_alone(unit, late, now=NOON + HOUR_NS))
    for now, left in (
        (NOON + DAY_NS, {early.id, late.id}),
        (NOON + DAY_NS + HOUR_NS, {late.id}),
        (NOON + 2 * DAY_NS, {late.id}),  # nothing arrived in an hour after it: its age is not known
    ):
        assert opened.do(lambda unit: unit.lone_views.expire(now, 10)) == 0  # noqa: B023
        assert alone(opened, early, late) == {mark(one) for one in (early, late) if one.id in left}
    opened.do(lambda unit: take(unit, record(9), now=NOON + 3 * HOUR_NS))
    opened.do(lambda unit: unit.lone_views.expire(NOON + 2 * DAY_NS, 10))
    assert alone(opened, early, late) == set()


def test_views_settled_alone_are_bounded_and_the_oldest_goes_first(opened: OpenStore) -> None:
    views = [record(n, "client", f"/{n}") for n in range(5)]
    opened.do(lambda unit: settle_alone(unit, *views))
    assert opened.do(lambda unit: unit.lone_views.expire(NOON, 3)) == 2
    assert alone(opened, *views) == {mark(one) for one in views[2:]}


def test_a_view_settled_alone_is_known_for_a_day_although_its_exchange_is_gone(opened: OpenStore) -> None:
    one = record(1, "client")
    opened.do(lambda unit: settle_alone(unit, one))
    opened.do(lambda unit: unit.samples.numbers(1, NOON + HOUR_NS))
    bounds, later = RetentionBounds(0.1, MUCH), NOON + 26 * HOUR_NS
    assert opened.do(lambda unit: unit.retention.drop_some(bounds, NOON + 5 * HOUR_NS, MUCH)) == 1
    opened.again()
    (mark,) = alone(opened, one)
    ((view, kept),) = opened.do(
        lambda unit: [
            (near, unit.lone_views.gone(near.exchange)) for near in unit.lone_views.near(one.time, mark)
        ]
    )
    assert kept is not None
    assert (kept.id, view.side) == (one.id, "client")
    opened.do(lambda unit: unit.retention.drop_some(bounds, later, MUCH))
    assert opened.do(lambda unit: unit.lone_views.expire(later, 10)) == 0
    assert alone(opened, one) == set()


def test_undone_work_leaves_the_unplaced_lone_views_and_the_room_for_them(opened: OpenStore) -> None:
    def alone_and_unplaced(unit: Unit) -> int:
        (draft,) = take(unit, record(1))
        unit.lone_views.add([LoneView(draft.number, None, 7, NOON)])
        return draft.number

    opened.undo(alone_and_unplaced)
    assert not opened.do(lambda unit: unit.lone_views.has_unplaced)
    number = opened.do(alone_and_unplaced)
    opened.undo(lambda unit: unit.lone_views.remove(number))
    assert opened.do(lambda unit: unit.lone_views.has_unplaced)


def test_an_address_is_watched_for_two_days_since_it_was_seen_last(opened: OpenStore) -> None:
    opened.do(lambda unit: unit.watched.record("a", NOON))
    opened.do(lambda unit: unit.watched.record("b", NOON))
    opened.do(lambda unit: unit.watched.record("b", NOON + HOUR_NS))
    opened.undo(lambda unit: unit.watched.record("c", NOON))
    opened.again()

    def watched(now: int) -> list[str]:
        opened.do(lambda unit: unit.watched.expire(now))
        return [address for address in "abc" if opened.do(lambda unit: unit.watched.may_have(address))]  # noqa: B023

    assert watched(NOON + 2 * DAY_NS) == ["a", "b"]
    assert watched(NOON + 2 * DAY_NS + HOUR_NS) == ["b"]
    assert watched(NOON + 3 * DAY_NS) == []
