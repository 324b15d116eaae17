"""Counters add up in any order, when subtracted and when flushed."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.wire import SubOperation
from server.store.filters import DeviationsShown, Filters
from server.store.rows import DeviationRow, DeviationState, OperationRow, PartCount, UndescribedCount
from server.store.unit import Unit
from server.store.values import (
    MAX_NAMES,
    MAX_OTHERS,
    Contribution,
    Covered,
    DeviationDecision,
    Occurrence,
    Upload,
)
from tests.server.records import NOON
from tests.server.store.conformance.opened import (
    HOUR_NS,
    UNKNOWN_STATUS,
    OpenStore,
    count,
    show,
    someone,
)
from tests.server.store.engines import ENGINES

EVERY = Filters(state=DeviationsShown.ALL)
CALLS = st.tuples(
    st.integers(0, 2),
    st.sampled_from([None, 200, 404]),
    st.integers(0, 3),
    st.sampled_from([None, 1, 7]),
    st.sampled_from([None, "conforming", "shadow"]),
)


def operation_of(opened: OpenStore) -> tuple[int, int, int]:
    """The numbers of an API, an operation and a consumer."""
    api, consumer = opened.do(someone)
    return api, opened.do(lambda unit: unit.operations.provisional(api, "GET", "/x")), consumer


def deviations(opened: OpenStore, filters: Filters = EVERY, limit: int = 100) -> list[DeviationRow]:
    with opened.store.reading() as reader:
        return [*reader.deviations.listed(filters, limit, None).rows]


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=30)
@given(steps=st.lists(st.tuples(CALLS, st.booleans(), st.booleans()), max_size=30))
def test_counts_equal_what_was_added_and_not_taken_back(
    engine: str, steps: list[tuple[tuple[int, int | None, int, int | None, str | None], bool, bool]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        opened = OpenStore(ENGINES[engine], Path(folder))
        try:
            _check_counts(opened, steps)
        finally:
            opened.store.close()


def _check_counts(
    opened: OpenStore,
    steps: list[tuple[tuple[int, int | None, int, int | None, str | None], bool, bool]],
) -> None:
    api, operation, consumer = operation_of(opened)
    held: list[Contribution] = []

    def run(unit: Unit) -> None:
        for (_, status, hour, bucket, verdict), takes_back, flushes in steps:
            fault = "server" if verdict == "shadow" else None
            one = Contribution(operation, consumer, status, NOON + hour * HOUR_NS, bucket, verdict, fault)
            if takes_back and held:
                unit.calls.add(held.pop(), -1)
            else:
                unit.calls.add(one)
                held.append(one)
            if flushes:
                unit.calls.flush()
        unit.calls.flush()

    opened.do(run)
    with opened.store.reading() as reader:
        hours = reader.consumers.calls_by_hour(Filters())
    assert Counter({(one.period, one.status, one.verdict, one.fault): one.count for one in hours}) == Counter(
        (one.hour, "none" if one.status is None else f"{one.status // 100}xx", one.verdict, one.fault)
        for one in held
    )
    rows = opened.operations(api)
    assert [row.count for row in rows] == ([len(held)] if held else [])
    for row in rows:
        assert row.statuses == Counter(one.status for one in held)
        assert row.latency == Counter(one.bucket for one in held if one.bucket is not None)
        assert row.verdicts == Counter(one.verdict for one in held if one.verdict is not None)
        assert sum(one.count for one in row.consumers) == len(held)


def only_operation(opened: OpenStore, api: int) -> OperationRow:
    (row,) = opened.operations(api)
    return row


def test_an_operation_knows_since_when_and_until_when_and_by_whom(opened: OpenStore) -> None:
    api, operation, consumer = operation_of(opened)

    times = [NOON + hour * HOUR_NS + 1 for hour in (5, 2, 9)]
    calls = [Contribution(operation, consumer, 200, time, None, None) for time in times]
    opened.do(lambda unit: count(unit, *calls))
    row = only_operation(opened, api)
    assert (row.first_seen, row.last_seen) == (NOON + 2 * HOUR_NS + 1, NOON + 9 * HOUR_NS + 1)
    (by,) = row.consumers
    assert (by.name, by.count) == ("curl", 3)
    assert (by.first_seen, by.last_seen) == (NOON + 2 * HOUR_NS, NOON + 9 * HOUR_NS)


def asked(operation: int, consumer: int, *found: tuple[str, bool | None]) -> Contribution:
    subs = tuple(SubOperation("graphql", "query", name, failed) for name, failed in found)
    return Contribution(operation, consumer, 200, NOON, None, None, sub_operations=subs)


def test_sub_operations_are_counted_by_name_and_by_how_they_ended(opened: OpenStore) -> None:
    api, operation, consumer = operation_of(opened)
    one = asked(operation, consumer, ("A", False), ("B", True), ("A", None))
    opened.do(lambda unit: count(unit, one, one, asked(operation, consumer, ("C", False))))
    found = only_operation(opened, api).sub_operations
    assert [(sub.name, sub.count, sub.failed, sub.unknown) for sub in found] == [
        ("A", 4, 0, 2),
        ("B", 2, 2, 0),
        ("C", 1, 0, 0),
    ]

    def take_back(unit: Unit) -> None:
        unit.calls.add(one, -1)
        unit.calls.add(one, -1)
        unit.calls.flush()

    opened.do(take_back)
    assert [sub.name for sub in only_operation(opened, api).sub_operations] == ["C"]


def test_names_of_sub_operations_beyond_the_bound_count_as_one(opened: OpenStore) -> None:
    api, operation, consumer = operation_of(opened)
    most = MAX_NAMES
    for number in range(most + 5):
        one = asked(operation, consumer, (f"Q{number}", False))
        opened.do(lambda unit, one=one: count(unit, one))  # type: ignore[misc]
    opened.do(lambda unit: count(unit, asked(operation, consumer, ("Q0", False))))
    found = {sub.name: sub.count for sub in only_operation(opened, api).sub_operations}
    assert (found["(other)"], found["Q0"], f"Q{most}" in found) == (5, 2, False)


def test_sub_operations_are_bounded_whatever_their_protocols_and_kinds(opened: OpenStore) -> None:
    api, operation, consumer = operation_of(opened)
    subs = tuple(SubOperation("graphql", f"kind {number}", "A", True) for number in range(1000))
    one = Contribution(operation, consumer, 200, NOON, None, None, sub_operations=subs)
    opened.do(lambda unit: count(unit, one, one))
    found = {(sub.kind, sub.name): sub.count for sub in only_operation(opened, api).sub_operations}
    assert found["(other)", "(other)"] == 2 * (1000 - MAX_NAMES - MAX_OTHERS)


def test_sums_of_undone_work_are_gone(opened: OpenStore) -> None:
    api, operation, consumer = operation_of(opened)
    one = asked(operation, consumer, ("A", False))
    opened.undo(lambda unit: unit.calls.add(one))
    opened.undo(lambda unit: unit.coverage.add(Covered(operation, (consumer,), ("part",))))
    opened.undo(lambda unit: show(unit, api, consumer))

    def flush(unit: Unit) -> None:
        for one in (unit.calls, unit.coverage, unit.deviations):
            one.flush()

    opened.do(flush)
    assert (opened.operations(api), deviations(opened)) == ([], [])


def test_coverage_is_counted_for_everyone_and_each_consumer_until_it_is_reset(opened: OpenStore) -> None:
    api, operation, consumer = operation_of(opened)

    def cover(unit: Unit, sign: int = 1) -> None:
        unit.coverage.add(Covered(operation, (consumer,), ("a", "b")), sign)
        unit.coverage.flush()

    def counts() -> set[PartCount]:
        with opened.store.reading() as reader:
            return {*reader.coverage.counts(api, "process")}

    opened.do(cover)
    opened.do(cover)
    every = {PartCount("GET /x", name, part, 2) for name in (None, "curl") for part in ("a", "b")}
    assert counts() == every
    with opened.store.reading() as reader:
        assert {one.consumer for one in reader.coverage.counts(api, "pod")} == {None}
    opened.do(lambda unit: cover(unit, -1))
    assert {one.count for one in counts()} == {1}
    opened.do(lambda unit: cover(unit, -1))
    assert counts() == set()
    opened.do(cover)
    opened.do(lambda unit: unit.coverage.reset(api))
    assert counts() == set()


def test_what_no_specification_describes_is_counted_by_status(opened: OpenStore) -> None:
    api, operation, _ = operation_of(opened)

    def cover(unit: Unit) -> None:
        for status in ("2xx", "2xx", "none"):
            unit.coverage.add(Covered(operation, (), (f"undescribed:{status}",)))
            unit.coverage.add(Covered(unit.operations.unseen(api), (), (f"undescribed:{status}",)))
        unit.coverage.flush()

    opened.do(cover)
    opened.do(lambda unit: unit.specs.add(api, Upload(b"{}"), "Shop", "1", [], NOON))
    with opened.store.reading() as reader:
        assert {*reader.coverage.undescribed(api)} == {
            UndescribedCount("GET", "/x", "2xx", 2),
            UndescribedCount("GET", "/x", "none", 1),
        }
        assert [*reader.coverage.counts(api, "process")] == []


def test_without_a_specification_no_call_is_described(opened: OpenStore) -> None:
    api, operation, consumer = operation_of(opened)
    calls = [Contribution(operation, consumer, status, NOON, None, None) for status in (200, 201, None)]
    opened.do(lambda unit: count(unit, *calls))
    with opened.store.reading() as reader:
        assert {*reader.coverage.undescribed(api)} == {
            UndescribedCount("GET", "/x", "2xx", 2),
            UndescribedCount("GET", "/x", "none", 1),
        }


def test_a_deviation_is_kept_once_with_its_count_and_consumers(opened: OpenStore) -> None:
    api, consumer = opened.do(someone)

    def show_thrice(unit: Unit) -> list[bool]:
        return [show(unit, api, consumer, time=NOON + after) for after in (5, 0, 9)]

    assert opened.do(show_thrice) == [True] * 3
    (row,) = deviations(opened)
    assert (row.identity, row.message, row.count) == (UNKNOWN_STATUS, "not described", 3)
    assert (row.first_seen, row.last_seen, row.sample) == (NOON, NOON + 9, None)
    assert [(one.name, one.count) for one in row.consumers] == [("curl", 3)]

    def take_back(unit: Unit) -> None:
        unit.deviations.take_back(Occurrence(api, consumer, NOON, "sample", 0), UNKNOWN_STATUS)
        unit.deviations.flush()

    for _ in range(3):
        opened.do(take_back)
    assert deviations(opened) == []


def test_of_a_deviation_that_is_taken_back_nothing_stays(opened: OpenStore) -> None:
    api, consumer = opened.do(someone)

    def take_back(unit: Unit, place: str) -> None:
        gone = UNKNOWN_STATUS._replace(place=place)
        unit.deviations.take_back(Occurrence(api, consumer, NOON, "sample", 0), gone)
        unit.deviations.flush()

    def fill(unit: Unit) -> int:
        return sum(show(unit, api, consumer, UNKNOWN_STATUS._replace(place=str(n))) for n in range(1500))

    kept = opened.do(fill)
    (first,) = [one for one in deviations(opened, EVERY, 1500) if one.identity.place == "0"]
    opened.do(lambda unit: take_back(unit, "0"))
    with opened.store.reading() as reader:
        assert reader.deviations.known(first.number) is None
    again = UNKNOWN_STATUS._replace(place="0")
    assert opened.do(lambda unit: show(unit, api, consumer, again, NOON + 7)) is True, "there is room again"
    (shown,) = [one for one in deviations(opened, EVERY, 1500) if one.identity.place == "0"]
    assert (shown.number, shown.first_seen, shown.count) == (first.number, NOON + 7, 1)
    assert len(deviations(opened, EVERY, 1500)) == kept


SHOWN = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from("abc"), st.sampled_from(["too long", "too short"])),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=30)
@given(shown=SHOWN, data=st.data())
def test_a_deviation_is_the_same_in_whatever_order_and_pieces_it_was_shown(
    engine: str, shown: list[tuple[int, str, str]], data: st.DataObject
) -> None:
    again, cut = data.draw(st.permutations(shown)), data.draw(st.integers(0, len(shown)))
    found = _shown(engine, shown)
    assert found == _shown(engine, again[:cut], again[cut:])
    after, sample, message = max(shown)
    assert found == (min(shown)[0], after, sample, message, len(shown))


def _shown(engine: str, *pieces: list[tuple[int, str, str]]) -> tuple[int, int, str, str, int]:
    """What a store returns of a deviation that exchanges show, in several pieces of work, reopened after
    each.
    """
    with tempfile.TemporaryDirectory() as folder:
        opened = OpenStore(ENGINES[engine], Path(folder))
        try:
            api, consumer = opened.do(someone)
            for shown in pieces:
                opened.do(partial(_show_all, api, consumer, shown))
                opened.again()
            (row,) = deviations(opened)
            with opened.store.reading() as reader:
                known = reader.deviations.known(row.number)
            assert known is not None
            return row.first_seen - NOON, row.last_seen - NOON, known.sample, row.message, row.count
        finally:
            opened.store.close()


def _show_all(api: int, consumer: int, shown: Sequence[tuple[int, str, str]], unit: Unit) -> None:
    for after, sample, message in shown:
        unit.deviations.add(Occurrence(api, consumer, NOON + after, sample, 1), UNKNOWN_STATUS, message)
    unit.deviations.flush()


def test_a_deviation_shown_again_after_a_change_has_a_sample_of_the_present(opened: OpenStore) -> None:
    api, consumer = opened.do(someone)
    opened.do(partial(_show_all, api, consumer, ((9, "old", "not described"),)))
    changed = Occurrence(api, consumer, NOON + 5, "present", 2)

    def judge_again(unit: Unit) -> None:
        unit.deviations.add(changed, UNKNOWN_STATUS, "not one of the statuses")
        unit.deviations.flush()

    opened.do(judge_again)
    (row,) = deviations(opened)
    assert (row.first_seen, row.last_seen) == (NOON + 5, NOON + 5)
    assert row.message == "not one of the statuses"


def test_deviations_of_an_api_are_bounded(opened: OpenStore) -> None:
    api, consumer = opened.do(someone)

    def many(unit: Unit) -> int:
        return sum(show(unit, api, consumer, UNKNOWN_STATUS._replace(place=str(n))) for n in range(1500))

    kept = opened.do(many)
    assert 0 < kept < 1500
    opened.again()
    assert opened.do(lambda unit: show(unit, api, consumer, UNKNOWN_STATUS._replace(place="more"))) is False


def test_deviations_of_an_api_begin_anew_when_they_are_reset(opened: OpenStore) -> None:
    api, consumer = opened.do(someone)
    opened.do(lambda unit: show(unit, api, consumer))
    (before,) = deviations(opened)
    opened.do(lambda unit: unit.deviations.reset(api + 1))
    assert len(deviations(opened)) == 1
    opened.do(lambda unit: unit.deviations.reset(api))
    assert deviations(opened) == []
    assert opened.do(lambda unit: show(unit, api, consumer, time=NOON + 7))
    (after,) = deviations(opened)
    assert (after.id, after.count, after.first_seen) == (before.id, 1, NOON + 7)


def test_a_decision_replaces_what_was_decided_before(opened: OpenStore) -> None:
    api, consumer = opened.do(someone)
    opened.do(lambda unit: show(unit, api, consumer))
    for state, reason in ((DeviationState.IGNORED, "known"), (DeviationState.ACCEPTED, "wanted")):
        decision = DeviationDecision(state, reason, None, NOON)
        opened.do(partial(_decide, api, decision))
    assert opened.do(lambda unit: unit.decisions.ignored()) == {}
    (row,) = deviations(opened)
    assert (row.state, row.reason) == (DeviationState.ACCEPTED, "wanted")


def _decide(api: int, decision: DeviationDecision, unit: Unit) -> None:
    unit.decisions.decide(api, UNKNOWN_STATUS, decision)


def test_a_decision_holds_whatever_becomes_of_the_deviation(opened: OpenStore) -> None:
    api, consumer = opened.do(someone)
    opened.do(lambda unit: show(unit, api, consumer))
    ignored = DeviationDecision(DeviationState.IGNORED, "known", "Ann", NOON)
    opened.do(lambda unit: unit.decisions.decide(api, UNKNOWN_STATUS, ignored))
    assert opened.do(lambda unit: unit.decisions.ignored()) == {api: frozenset({UNKNOWN_STATUS})}
    assert deviations(opened, Filters()) == []
    (row,) = deviations(opened, Filters(state=DeviationState.IGNORED))
    assert (row.state, row.reason, row.decided_by, row.decided) == ("ignored", "known", "Ann", NOON)
    opened.do(lambda unit: unit.deviations.reset(api))
    opened.again()
    opened.do(lambda unit: show(unit, api, consumer))
    assert [one.state for one in deviations(opened)] == [DeviationState.IGNORED]
    opened.do(lambda unit: unit.decisions.undo(api, UNKNOWN_STATUS))
    (row,) = deviations(opened, Filters())
    assert (row.state, row.reason, row.decided) == (DeviationState.OPEN, None, None)
    with opened.store.reading() as reader:
        known = reader.deviations.known(row.number)
        assert known is not None
        assert (known.api, known.identity, known.sample) == (api, UNKNOWN_STATUS, "sample")
        assert reader.deviations.known(row.number + 1) is None
        other = UNKNOWN_STATUS._replace(place="other")
        assert reader.deviations.ids(api, [UNKNOWN_STATUS, other]) == [row.id, None]
