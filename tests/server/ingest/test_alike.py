"""A call with a view that does not say between whom it was counts once, or is uncertain and counted apart."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.wire import Record
from server.ingest import alike
from server.ingest.alike import Alike, Seen
from server.ingest.holding import BACKLOG_S, LIVE_S, Held, SettledBy
from server.ingest.outcomes import UNCERTAIN
from server.store.filters import Filters
from server.store.sqlite.writing import lone_views
from tests.server.ingesting import Ingest
from tests.server.records import MS, NOON, record

NOWHERE: dict[str, Any] = {"client": None, "server": None}


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Ingest]:
    one = Ingest(tmp_path / "data")
    yield one
    one.store.close()


def seen(number: int, side: str, path: str = "/users/1", at: int = 0, **changed: Any) -> Record:
    """A view of a call by TLS within one node, which began at a time (ns since NOON)."""
    return record(0, side, path, port=40_000 + number, start=NOON + at, tls="openssl", **changed)


def counted(ingest: Ingest) -> tuple[int, int]:
    """Exchanges as they are shown: those counted, and the uncertain ones."""
    with ingest.store.reading() as reader:
        totals = reader.inventory.totals()
        apis = reader.inventory.apis(Filters(), 100, None).rows
        operations = [
            row
            for api in apis
            for row in reader.inventory.operations(Filters(api=api.number), 100, None).rows
        ]
        exchanges = reader.exchanges.listed(Filters(), 100, None).rows
    assert sum(api.exchanges for api in apis) == sum(one.count for one in operations) == totals.exchanges
    assert sum(api.uncertain for api in apis) == sum(one.uncertain for one in operations) == totals.uncertain
    assert sum(one.uncertain for one in exchanges) == totals.uncertain
    return totals.exchanges, totals.uncertain


@pytest.mark.parametrize("unplaced", ["client", "server", "both"])
@pytest.mark.parametrize("first", ["client", "server"])
def test_two_views_that_are_alike_alone_are_one_call(ingest: Ingest, unplaced: str, first: str) -> None:
    views = [
        seen(1, side, **(NOWHERE if unplaced in (side, "both") else {}))
        for side in (("client", "server") if first == "client" else ("server", "client"))
    ]
    ingest.deliver("agent", *views)
    assert ingest.views() == []
    ingest.wait(LIVE_S)
    assert ingest.views() == [sorted(one.id for one in views)]
    assert counted(ingest) == (1, 0)
    assert ingest.acceptor.totals[SettledBy.ALIKE] == 1
    assert (ingest.acceptor.held, ingest.rows("held"), ingest.rows("alone")) == (0, 0, 0)


@pytest.mark.parametrize("unplaced", ["client", "server", "both"])
@pytest.mark.parametrize("first", ["client", "server"])
def test_a_view_that_comes_late_is_counted_as_if_it_had_come_in_time(
    ingest: Ingest, tmp_path: Path, unplaced: str, first: str
) -> None:
    second = "server" if first == "client" else "client"
    ends: dict[str, dict[str, Any]] = {
        side: NOWHERE if unplaced in (side, "both") else {} for side in (first, second)
    }
    in_time = Ingest(tmp_path / "in time")
    in_time.deliver("agent", seen(1, first, **ends[first]), seen(1, second, **ends[second]))
    in_time.wait(LIVE_S)
    ingest.deliver("agent", seen(1, first, **ends[first]))
    ingest.wait(LIVE_S)
    assert len(ingest.views()) == 1
    ingest.deliver("agent", seen(1, second, **ends[second]))
    ingest.wait(3600)
    assert ingest.views() == in_time.views()
    assert counted(ingest) == counted(in_time) == (1, 0)
    assert ingest.acceptor.totals[SettledBy.LATE] == 1
    assert ingest.rows("alone") == 0
    ids = ingest.views()[0]
    with ingest.store.reading() as reader:
        assert {one.number for id in ids if (one := reader.exchanges.one(id))} == {1}
    in_time.store.close()


def test_the_server_is_known_by_the_end_that_its_client_knows(ingest: Ingest) -> None:
    ingest.deliver("agent", seen(1, "client"), seen(1, "server"))
    ingest.deliver("agent", seen(2, "client", "/2"), seen(2, "server", "/2", **NOWHERE))
    ingest.deliver("agent", seen(3, "client", "/3", **NOWHERE), seen(3, "server", "/3"))
    ingest.wait(LIVE_S)
    with ingest.store.reading() as reader:
        apis = reader.inventory.apis(Filters(), 100, None).rows
    assert [(one.name, one.exchanges) for one in apis] == [("nginx:8080", 3)]


def test_a_view_without_another_that_is_alike_is_uncertain(ingest: Ingest) -> None:
    ingest.deliver("agent", seen(1, "client", **NOWHERE), seen(2, "server", "/other"))
    ingest.deliver("agent", seen(3, "client", "/unanswered", status=None, **NOWHERE))
    ingest.wait(LIVE_S)
    assert counted(ingest) == (1, 2)
    assert ingest.acceptor.totals[UNCERTAIN] == 2


def views_of_two_calls() -> list[Record]:
    """Two calls alike at once: the one's client, and the other's, do not say who they called."""
    return [seen(number, side, **ends) for number in (1, 2) for side, ends in SIDES]


SIDES: list[tuple[str, dict[str, Any]]] = [("client", NOWHERE), ("server", {})]


@pytest.mark.parametrize("order", [*itertools.permutations(range(4))])
def test_of_calls_that_are_alike_none_is_guessed(ingest: Ingest, order: tuple[int, ...]) -> None:
    views = views_of_two_calls()
    for number in order:
        ingest.deliver("agent", views[number])
    ingest.wait(LIVE_S)
    assert sorted(map(len, ingest.views())) == [1] * 4
    assert counted(ingest) == (2, 2)


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_a_view_is_not_paired_with_the_first_of_two_that_are_alike(
    ingest: Ingest, order: tuple[int, ...]
) -> None:
    views = [
        seen(1, "client", took=9 * MS, **NOWHERE),
        seen(2, "server", at=1 * MS),
        seen(3, "server", at=5 * MS),
    ]
    for number in order:
        ingest.deliver("agent", views[number])
    ingest.wait(LIVE_S)
    assert counted(ingest) == (2, 1)


def test_a_view_that_found_its_half_by_its_ends_is_no_candidate(ingest: Ingest) -> None:
    clear = [seen(2, "client"), seen(2, "server")]
    ingest.deliver("agent", *views_of_two_calls()[:2], *clear)
    ingest.wait(LIVE_S)
    assert sorted(map(len, ingest.views())) == [2, 2]
    assert counted(ingest) == (2, 0)


def test_calls_one_after_the_other_are_told_apart_by_their_times(ingest: Ingest) -> None:
    for number in range(5):
        at = number * 10 * MS
        ingest.deliver("agent", seen(number, "client", at=at, **NOWHERE), seen(number, "server", at=at))
    ingest.wait(LIVE_S)
    assert counted(ingest) == (5, 0)
    assert ingest.views() == [[f"client-4000{n}-0", f"server-4000{n}-0"] for n in range(5)]


def test_a_proxys_call_is_not_the_call_that_it_serves(ingest: Ingest) -> None:
    served = seen(1, "server", took=9 * MS)
    ingest.deliver("agent", served, seen(2, "client", at=2 * MS, took=5 * MS, **NOWHERE))
    ingest.wait(LIVE_S)
    assert counted(ingest) == (1, 1)


def test_of_many_equal_calls_each_is_compared_only_with_those_of_its_time(ingest: Ingest) -> None:
    calls = 300
    views = [
        seen(number, side, at=number * 10 * MS, **NOWHERE)
        for number in range(calls)
        for side in ("client", "server")
    ]
    ingest.deliver("agent", *views)
    ingest.wait(BACKLOG_S)
    assert counted(ingest) == (calls, 0)
    assert ingest.acceptor.totals[SettledBy.ALIKE] == calls


def test_the_only_view_alike_may_have_been_settled_alone_in_the_same_piece_of_work(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's view is due first, when two calls may be its own; then one of them finds its server."""
    ingest.deliver("agent", seen(1, "server", at=2 * MS, took=2 * MS, **NOWHERE))
    ingest.deliver("agent", seen(2, "client", at=MS, took=4 * MS, **NOWHERE))
    other_half, first = Alike.other_half, []

    def blind_at_first(self: Alike, held: Held, record: Record) -> Seen | None:
        first.append(held)
        return None if len(first) == 1 else other_half(self, held, record)

    monkeypatch.setattr(Alike, "other_half", blind_at_first)
    ingest.wait(LIVE_S)
    assert counted(ingest) == (1, 0)
    assert (len(first), ingest.rows("alone")) == (2, 0)
    assert ingest.acceptor.totals[SettledBy.ALIKE] == 1


@pytest.mark.parametrize("bound", ["compared", "scanned", "lone"])
def test_among_too_many_that_are_alike_none_is_the_only_one(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(alike, "MAX_ALIKE", 1 if bound == "compared" else 99)
    monkeypatch.setattr(alike, "MAX_SCAN", 1 if bound == "scanned" else 99)
    monkeypatch.setattr(lone_views, "MAX_NEAR", 2 if bound == "lone" else 99)
    for number in range(4):
        at = -number * 20 * MS if bound == "lone" else number * MS // 8
        took = 2 * MS if bound == "lone" or number == 0 else MS
        ingest.deliver("agent", seen(number, "server", at=at, took=took))
    if bound == "lone":
        ingest.wait(LIVE_S)
    ingest.deliver("agent", seen(9, "client", **NOWHERE))
    ingest.wait(LIVE_S)
    assert counted(ingest) == (4, 1)


def test_without_room_for_lone_views_none_is_paired_by_likeness(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lone_views, "ROOM", 0)
    ingest.deliver("agent", seen(1, "client", **NOWHERE), seen(1, "server"))
    ingest.wait(LIVE_S)
    assert counted(ingest) == (1, 1)


def test_an_unplaced_view_waits_on_after_a_restart(ingest: Ingest, tmp_path: Path) -> None:
    ingest.deliver("agent", seen(1, "client", **NOWHERE))
    ingest.deliver("agent", seen(2, "server", "/2", **NOWHERE))
    ingest.wait(LIVE_S)
    ingest.deliver("agent", seen(3, "server", "/3"))
    ingest.store.close()
    again = Ingest(tmp_path / "data")
    again.seqs = ingest.seqs
    assert again.acceptor.held == 1
    again.deliver("agent", seen(1, "server"), seen(2, "client", "/2"), seen(3, "client", "/3", **NOWHERE))
    again.wait(LIVE_S)
    assert counted(again) == (3, 0)
    again.store.close()


KINDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "client": ("client",),
    "server": ("server",),
    "both": ("client", "server"),
}


@pytest.mark.parametrize("late", [*itertools.product((1, 2), ("client", "server"))])
@pytest.mark.parametrize("unplaced", [*itertools.product(KINDS, KINDS)])
def test_of_two_equal_calls_with_one_late_view_none_is_lost_or_counted_twice_for_certain(
    ingest: Ingest, unplaced: tuple[str, str], late: tuple[int, str]
) -> None:
    views = {
        (number, side): seen(
            number, side, at=number * MS, took=8 * MS, **(NOWHERE if side in KINDS[kind] else {})
        )
        for number, kind in enumerate(unplaced, 1)
        for side in ("client", "server")
    }
    ingest.deliver("agent", *(view for key, view in views.items() if key != late))
    ingest.wait(LIVE_S)
    ingest.deliver("agent", views[late])
    ingest.wait(LIVE_S)
    certain, uncertain = counted(ingest)
    assert certain <= 2 <= certain + uncertain
