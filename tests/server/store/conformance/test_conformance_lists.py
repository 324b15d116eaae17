"""Every list in pages: each row once and in order, whatever the size of a page, with filters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import pytest
from msgspec.structs import replace

from agent.wire import Endpoint, Record
from server.store.filters import DeviationsShown, Filters, Within
from server.store.reader import Reader
from server.store.rows import (
    AgentRow,
    ApiRow,
    Cursor,
    DeviationRow,
    DeviationState,
    ExchangeRow,
    Listed,
    OperationRow,
    SpecRow,
)
from server.store.unit import Unit
from server.store.values import DeviationDecision, Upload
from tests.server.narrowed import by
from tests.server.records import NETNS, NOON, record
from tests.server.store.conformance.opened import (
    HOUR_NS,
    UNKNOWN_STATUS,
    OpenStore,
    batch_of,
    pieces,
    show,
    take,
)

AnyRow: TypeAlias = ApiRow | OperationRow | ExchangeRow | DeviationRow | SpecRow | AgentRow
Lists = Callable[[Reader, int], Callable[[int, Cursor | None], Listed[AnyRow]]]

IGNORED = DeviationDecision(DeviationState.IGNORED, None, None, NOON)
FIVES = UNKNOWN_STATUS._replace(place="5")


def calls() -> list[Record]:
    """23 calls of 8 operations of 3 APIs, several at the same time."""
    found = []
    for n in range(23):
        view = record(
            n,
            "client",  # with exactly these times
            path=f"/{'ab'[n % 2]}/{n % 4}",
            method=("GET", "POST")[n % 2],
            status=(200, 404, 503, None)[n % 4],
            server=Endpoint(
                "10.0.0.1", 8080 + n % 3, NETNS, namespace="shop", workload=("w", "w1", "w10")[n % 3]
            ),
            start=NOON + n // 3 * HOUR_NS,
        )
        found.append(replace(view, consumer=replace(view.consumer, user_agent=f"agent/{n % 5}")))
    return found


def fill(unit: Unit) -> list[int]:
    """Numbers of exchanges, in the order of `calls`."""
    drafts = [take(unit, one, verdict=("conforming", "shadow")[n % 2])[0] for n, one in enumerate(calls())]
    consumer = 1
    for n, draft in enumerate(drafts):
        assert draft.counted is not None
        consumer = draft.counted.consumer
        show(unit, draft.api, consumer, UNKNOWN_STATUS._replace(place=str(n)), NOON + n // 3)
    unit.decisions.decide(drafts[5].api, FIVES, IGNORED)
    for n in range(7):
        unit.specs.add(drafts[0].api, Upload(b"{}"), f"{n}", "1", [], NOON + n // 3)
        one = batch_of(1, epoch=f"{n}")
        unit.positions.is_duplicate(one)
        unit.positions.record(one, NOON + n // 3)
    return [one.number for one in drafts]


EVERY = Filters(state=DeviationsShown.ALL)
LISTS: dict[str, tuple[int, Lists]] = {
    "apis": (3, lambda reader, api: lambda limit, after: reader.inventory.apis(Filters(), limit, after)),
    "operations": (
        4,
        lambda reader, api: lambda limit, after: reader.inventory.operations(Filters(api=api), limit, after),
    ),
    "exchanges": (
        23,
        lambda reader, api: lambda limit, after: reader.exchanges.listed(Filters(), limit, after),
    ),
    "deviations": (
        23,
        lambda reader, api: lambda limit, after: reader.deviations.listed(EVERY, limit, after),
    ),
    "specs": (7, lambda reader, api: reader.specs.listed),
    "agents": (7, lambda reader, api: reader.fleet.agents),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_in_pieces_has_each_row_once_and_in_order(opened: OpenStore, name: str) -> None:
    opened.do(fill)
    length, lists = LISTS[name]
    with opened.store.reading() as reader:
        api = reader.inventory.apis(Filters(), 1, None).rows[0].number
        listed = lists(reader, api)
        whole = listed(100, None)
        assert (len(whole.rows), whole.next) == (length, None)
        for limit in (1, 2, 3, 7, 23):
            assert pieces(listed, limit) == whole.rows


def test_lists_are_in_the_order_they_say(opened: OpenStore) -> None:
    opened.do(fill)
    with opened.store.reading() as reader:
        apis = reader.inventory.apis(Filters(), 100, None).rows
        operations = reader.inventory.operations(Filters(api=apis[0].number), 100, None).rows
        exchanges = reader.exchanges.listed(Filters(), 100, None).rows
        deviations = reader.deviations.listed(EVERY, 100, None).rows
        specs = reader.specs.listed(100, None).rows
        agents = reader.fleet.agents(100, None).rows
    assert _falls([one.last_seen or 0 for one in apis])
    assert _falls([one.count for one in operations])
    assert _falls([one.time for one in exchanges])
    assert _falls([one.last_seen for one in deviations])
    assert _falls([one.uploaded for one in specs])
    assert _falls([one.last_seen for one in agents])


def _falls(keys: list[int]) -> bool:
    return len(keys) > 1 and keys == sorted(keys, reverse=True)


FILTERS: list[tuple[Filters, Callable[[int, Record], bool]]] = [
    (by(method="POST"), lambda n, one: n % 2 == 1),
    (by(path_prefix="/a"), lambda n, one: n % 2 == 0),
    (by(path_prefix="/a/2"), lambda n, one: n % 4 == 2),
    (by(status=404), lambda n, one: n % 4 == 1),
    (by(status=Within(400, 499)), lambda n, one: n % 4 == 1),
    (by(verdict="shadow"), lambda n, one: n % 2 == 1),
    (by(consumer="agent/3"), lambda n, one: n % 5 == 3),
    (by(namespace="shop"), lambda n, one: True),
    (by(namespace="other"), lambda n, one: False),
    (by(workload="w1"), lambda n, one: n % 3 == 1),
    (Filters(since=NOON + HOUR_NS), lambda n, one: one.time >= NOON + HOUR_NS),
    (Filters(until=NOON + 2 * HOUR_NS), lambda n, one: one.time < NOON + 2 * HOUR_NS),
    (by(method="POST", status=404, consumer="agent/1"), lambda n, one: n in {1, 21}),
]


@pytest.mark.parametrize(("filters", "fits"), FILTERS, ids=[str(n) for n in range(len(FILTERS))])
def test_exchanges_are_narrowed_by_each_filter(
    opened: OpenStore, filters: Filters, fits: Callable[[int, Record], bool]
) -> None:
    numbers = opened.do(fill)
    wanted = {numbers[n] for n, one in enumerate(calls()) if fits(n, one)}
    with opened.store.reading() as reader:
        found = pieces(lambda limit, after: reader.exchanges.listed(filters, limit, after), 2)
    assert len(found) == len(wanted)
    assert {one.number for one in found} == wanted


def test_exchanges_are_narrowed_by_api(opened: OpenStore) -> None:
    opened.do(fill)
    for api in opened.apis():
        found = opened.exchanges(Filters(api=api.number))
        assert {one.api for one in found} == {api.number}
        assert len(found) == api.exchanges


def test_deviations_are_narrowed_by_api_and_by_what_was_decided(opened: OpenStore) -> None:
    numbers = opened.do(fill)
    with opened.store.reading() as reader:
        deviations = reader.deviations
        every = deviations.listed(EVERY, 100, None).rows
        shown = deviations.listed(Filters(), 100, None).rows
        ignored = deviations.listed(Filters(state=DeviationState.IGNORED), 100, None).rows
        api = every[0].api
        some = deviations.listed(dataclasses.replace(EVERY, api=api), 100, None).rows
        one = deviations.listed(dataclasses.replace(EVERY, deviation=every[3].number), 100, None).rows
    assert len(every) == len(numbers)
    assert [one.identity for one in ignored] == [FIVES]
    assert [one.number for one in shown] == [one.number for one in every if one.identity != FIVES]
    assert (some, one) == ([one for one in every if one.api == api], [every[3]])


def test_what_was_called_is_summed_up(opened: OpenStore) -> None:
    opened.do(fill)
    with opened.store.reading() as reader:
        totals = reader.inventory.totals()
        apis = reader.inventory.apis(Filters(), 100, None).rows
        called = {one.number: reader.inventory.called(one.number) for one in apis}
        assert [reader.inventory.api(one.number) for one in apis] == [*apis]
        assert reader.inventory.api(max(called) + 1) is None
    assert (totals.apis, totals.exchanges) == (3, 23)
    assert sum(one.exchanges for one in apis) == 23
    assert {one.number: len(called[one.number]) for one in apis} == {
        one.number: one.operations for one in apis
    }
