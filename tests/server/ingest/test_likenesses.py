"""Of many views of one likeness, those that may be of a view's call are found, and few others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.analysis.likeness import may_be_one
from server.analysis.witnesses import View, view_of
from server.ingest.likenesses import Likeness
from tests.server.records import MS, NOON, record

times = st.tuples(st.sampled_from(["client", "server"]), st.integers(0, 200), st.integers(1, 50))


def view(number: int, side: str, start: int, took: int) -> View:
    one = record(
        number, side, start=NOON + start * MS, took=took * MS, tls="openssl", client=None, server=None
    )
    return view_of(one, number, None)


@given(st.lists(times, min_size=1, max_size=30), st.data())
def test_none_that_may_be_of_the_same_call_is_missed(
    those: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    views = [view(number, *one) for number, one in enumerate(those)]
    likeness = Likeness()
    for one in views:
        likeness.add(one)
    gone = data.draw(st.sets(st.sampled_from(views)))
    for one in gone:
        likeness.remove(one)
    for one in views:
        possible = {other.exchange for other in views if other not in gone and may_be_one(one, other)}
        assert possible <= {*likeness.near(one)} <= {other.exchange for other in views if other not in gone}
    assert likeness.is_empty == (len(gone) == len({*views}))


def test_of_calls_one_after_the_other_only_neighbours_are_near() -> None:
    likeness = Likeness()
    for number in range(1000):
        likeness.add(view(number, "client", number * 10, 5))
        likeness.add(view(1000 + number, "server", number * 10, 5))
    assert likeness.near(view(2000, "server", 5000, 5)) == [500, 1500]
    assert likeness.near(view(2000, "client", 5000, 5)) == [500, 1500]
