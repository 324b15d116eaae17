"""The difference of two clocks is known as well as the calls between them show it, and no better."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.analysis import clocks
from server.analysis.clocks import DRIFT, STEPPED, Clocks, Range

MS = 1_000_000
SECOND = 1000 * MS


def known(of: Clocks, time: int = 0) -> Range | None:
    return of.known("a", "b", time)


def learned(*calls: Range) -> Clocks:
    one = Clocks()
    for call in calls:
        one.learn("a", "b", call, 0)
    return one


def test_what_was_never_compared_is_unknown() -> None:
    assert known(Clocks()) is None
    one = Clocks()
    one.learn("a", "c", Range(0, 1), 0)
    assert known(one) is None


def test_a_slow_download_says_little_and_no_call_after_it_says_less() -> None:
    assert known(learned(Range(-2 * SECOND, MS))) == Range(-2 * SECOND, MS)
    assert known(learned(Range(-2 * SECOND, MS), Range(-MS, 2 * MS))) == Range(-MS, MS)
    assert known(learned(Range(-MS, 2 * MS), Range(-2 * SECOND, MS))) == Range(-MS, MS)


@settings(deadline=None)
@given(st.integers(-SECOND, SECOND), st.lists(st.tuples(st.integers(0, SECOND), st.integers(0, SECOND))))
def test_the_true_difference_is_never_excluded(apart: int, calls: list[tuple[int, int]]) -> None:
    one = learned(*(Range(apart - back, apart + there) for there, back in calls))
    found = known(one)
    assert found is None if not calls else found is not None and found.meets(Range(apart, apart))


def test_either_node_may_be_the_client() -> None:
    one = learned(Range(5, 7))
    assert one.known("b", "a", 0) == Range(-7, -5)
    one.learn("b", "a", Range(-6, 0), 0)
    assert known(one) == Range(5, 6)


def test_what_was_learned_long_ago_is_known_less_exactly() -> None:
    one = learned(Range(-MS, MS))
    assert known(one, 10 * DRIFT) == known(one, -10 * DRIFT) == Range(-MS - 10, MS + 10)


def test_a_call_that_contradicts_all_others_changes_nothing() -> None:
    one = learned(Range(-MS, MS))
    for _ in range(10):
        assert not one.learn("a", "b", Range(SECOND, SECOND + MS), 0)
        assert known(one) == Range(-MS, MS)
        assert one.learn("a", "b", Range(-MS, MS), 0)


def test_calls_in_a_row_that_contradict_as_one_show_a_clock_that_was_set() -> None:
    one = learned(Range(-MS, MS))
    said = [one.learn("a", "b", Range(SECOND, SECOND + MS + number), 0) for number in range(STEPPED)]
    assert said == [*[False] * (STEPPED - 1), True]
    assert known(one) == Range(SECOND, SECOND + MS)


def test_calls_in_a_row_that_contradict_each_other_show_nothing() -> None:
    one = learned(Range(-MS, MS))
    for number in range(1, 10):
        assert not one.learn("a", "b", Range(number * SECOND, number * SECOND), 0)
    assert known(one) == Range(-MS, MS)


def test_only_so_many_pairs_of_clocks_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "MAX_CLOCKS", 2)
    one = Clocks()
    for name in "bcd":
        one.learn("a", name, Range(0, 1), 0)
    assert [one.known("a", name, 0) is not None for name in "bcd"] == [False, True, True]
