"""Ids are derived from content: every store makes the same ids of the same content, in any order. Ids that a
merge ends lead on; different things with one id are not mixed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.wire import Endpoint, Record
from server.analysis.inventory import ConsumerKind
from server.store import keys
from server.store.errors import KeyCollision
from server.store.filters import DeviationsShown, Filters
from server.store.unit import Unit
from server.store.values import WORKLOAD_PREFIX, Contribution, Merge
from tests.server.records import NETNS, NOON, record
from tests.server.store.conformance.opened import UNKNOWN_STATUS, OpenStore, count, show
from tests.server.store.engines import ENGINES

EVERY = Filters(state=DeviationsShown.ALL)
APIS = 5
PATHS = ("/users/{id}", "/carts")
CALLS = tuple((api, path) for api in range(APIS) for path in PATHS)
MERGES = tuple((api, other) for other in range(APIS) for api in range(other))

Step = Callable[[Unit], None]


class Create(Protocol):
    """Stores the numbered thing. Returns the number it got."""

    def __call__(self, unit: Unit, n: int) -> int: ...


Ids = dict[str, set[str]]


def called(api: int) -> Record:
    return record(0, server=Endpoint("10.0.0.1", 8000 + api, NETNS))


def call(api: int, path: str) -> Step:
    """A deviating call of one of several APIs."""

    def step(unit: Unit) -> None:
        number, _ = unit.apis.resolve(called(api))
        operation = unit.operations.provisional(number, "GET", path)
        caller = consumer(unit, api)
        count(unit, Contribution(operation, caller, 500, NOON + api, 3, "deviating"))
        show(unit, number, caller, UNKNOWN_STATUS._replace(operation=f"GET {path}"), NOON + api)

    return step


def join(api: int, other: int) -> Step:
    """Merges two of them into the one with the lower number, or into what that was merged into."""

    def step(unit: Unit) -> None:
        roots = {one: unit.apis.resolve(called(one))[0] for one in range(other + 1)}
        into, source = roots[api], roots[other]
        first = {number: one for one, number in reversed(roots.items())}
        if first[source] < first[into]:
            into, source = source, into
        if into != source:
            unit.merge(Merge(source, into))

    return step


@contextmanager
def an_empty(engine: str) -> Iterator[OpenStore]:
    with tempfile.TemporaryDirectory() as folder:
        opened = OpenStore(ENGINES[engine], Path(folder))
        try:
            yield opened
        finally:
            opened.store.close()


def contents(opened: OpenStore) -> list[object]:
    """All rows with a number, and the numbers."""
    with opened.store.reading() as reader:
        deviations = reader.deviations.listed(EVERY, 100, None).rows
    apis = opened.apis()
    rows = [(api.number, one) for api in apis for one in opened.operations(api.number)]
    callers = [partial(consumer, n=n) for n in range(APIS)]
    return [
        sorted((one.number, one.id, one.exchanges, one.operations) for one in apis),
        sorted((api, one.number, one.key, one.count, sorted(map(str, one.consumers))) for api, one in rows),
        sorted((one.id, one.api_id, one.identity, one.count, one.first_seen) for one in deviations),
        [opened.do(one) for one in callers],
    ]


def id_of_api(unit: Unit, number: int) -> str:
    return unit.apis.id_of(number)


def ids(opened: OpenStore) -> Ids:
    with opened.store.reading() as reader:
        deviations = reader.deviations.listed(EVERY, 100, None).rows
    return {"apis": {one.id for one in opened.apis()}, "deviations": {one.id for one in deviations}}


def check_that_all_lead_somewhere(opened: OpenStore, given: Ids) -> None:
    present = ids(opened)
    with opened.store.reading() as reader:
        for id in given["apis"]:
            number = reader.inventory.number_of(id)
            assert number is not None
            assert opened.do(partial(id_of_api, number=number)) in present["apis"]
        for id in given["deviations"]:
            number = reader.deviations.number_of(id)
            assert number is not None
            assert reader.deviations.known(number) is not None


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=25)
@given(data=st.data())
def test_whatever_the_order_of_calls_and_merges_all_numbers_are_the_same(
    engine: str, data: st.DataObject
) -> None:
    calls = data.draw(st.lists(st.sampled_from(CALLS), max_size=8), "calls")
    merges = data.draw(st.lists(st.sampled_from(MERGES), max_size=4), "merges")
    steps = [*(call(*one) for one in calls), *(join(*one) for one in merges)]
    shuffled = data.draw(st.permutations(steps), "order")
    with an_empty(engine) as one, an_empty(engine) as other:
        for step in steps:
            one.do(step)
        given: Ids = {"apis": set(), "deviations": set()}
        for step in shuffled:
            other.do(step)
            given = {part: found | given[part] for part, found in ids(other).items()}
        assert contents(other) == contents(one)
        check_that_all_lead_somewhere(other, given)
        other.again()
        assert contents(other) == contents(one)


def test_a_merged_apis_numbers_are_those_it_would_have_had_from_the_start(opened: OpenStore) -> None:
    for step in (call(1, "/carts"), call(0, "/users/{id}"), join(0, 1)):
        opened.do(step)
    (merged,) = opened.apis()
    numbers = {one.number for one in opened.operations(merged.number)}
    found = ids(opened)
    opened.anew()
    for step in (call(0, "/carts"), call(0, "/users/{id}")):
        opened.do(step)
    assert ids(opened) == found
    assert {one.number for one in opened.operations(merged.number)} == numbers


def test_an_api_that_was_declared_before_its_traffic_is_in_the_end_the_same(opened: OpenStore) -> None:
    def declare(unit: Unit) -> int:
        return unit.apis.declare(["shop.local:8080"], "Shop")

    declared = opened.do(declare)
    target, merge = opened.do(lambda unit: unit.apis.resolve(record(0)))
    assert merge == Merge(declared, target)
    opened.do(lambda unit: unit.merge(Merge(declared, target)))
    assert opened.do(declare) == target
    opened.anew()
    assert opened.do(lambda unit: unit.apis.resolve(record(0))) == (target, None)
    opened.do(lambda unit: unit.apis.add_host(target, record(0)))
    assert opened.do(declare) == target


def test_an_address_that_led_to_one_server_and_then_to_another_has_one_number(opened: OpenStore) -> None:
    virtual = record(0, "client", server=Endpoint("10.96.0.1", 80), host=None)

    def learn(unit: Unit, *found: int) -> None:
        for one in found:
            merge = unit.apis.learn(virtual, api(unit, one))
            if merge is not None:
                unit.merge(merge)

    opened.do(lambda unit: learn(unit, 0, 1))
    number, _ = opened.do(lambda unit: unit.apis.resolve(virtual))
    opened.anew()
    own, _ = opened.do(lambda unit: unit.apis.resolve(virtual))  # before any server of it was seen
    opened.do(lambda unit: learn(unit, 1, 0))
    assert opened.do(lambda unit: unit.apis.resolve(virtual)) == (number, None)
    assert number != own


def collide(opened: OpenStore, create: Create, most: int = 100) -> list[int]:
    """Creates until two get one number. Returns the numbers of those before."""
    found: list[int] = []
    with pytest.raises(KeyCollision, match="the second is refused"):
        found.extend(opened.do(partial(create, n=n)) for n in range(most))
    return found


def api(unit: Unit, n: int) -> int:
    return unit.apis.resolve(called(n))[0]


def declared_api(unit: Unit, n: int) -> int:
    return unit.apis.declare([f"{WORKLOAD_PREFIX}shop/{n}"], "")


def operation(unit: Unit, n: int) -> int:
    return unit.operations.provisional(keys.LOWEST, "GET", f"/{n}")


def consumer(unit: Unit, n: int) -> int:
    return unit.consumers.number(ConsumerKind.PROCESS, f"caller {n}")


@pytest.mark.parametrize("create", [api, declared_api, operation, consumer])
def test_two_that_come_to_one_number_are_not_mixed(
    opened: OpenStore, monkeypatch: pytest.MonkeyPatch, create: Create
) -> None:
    monkeypatch.setattr(keys, "BITS", 4)
    found = collide(opened, create)
    assert len(set(found)) == len(found)
    with pytest.raises(KeyCollision):
        opened.do(partial(create, n=len(found)))  # again, without anything in memory
    opened.again()
    assert [opened.do(partial(create, n=n)) for n in range(len(found))] == found
    with pytest.raises(KeyCollision):
        opened.do(partial(create, n=len(found)))


def test_a_deviation_whose_number_is_taken_is_left_out(
    opened: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "BITS", 2)
    number, caller = opened.do(lambda unit: (api(unit, 0), consumer(unit, 0)))
    identities = [UNKNOWN_STATUS._replace(place=str(n)) for n in range(9)]
    kept = opened.do(lambda unit: [one for one in identities if show(unit, number, caller, one)])
    with opened.store.reading() as reader:
        rows = reader.deviations.listed(EVERY, 100, None).rows
    assert {one.identity: one.count for one in rows} == dict.fromkeys(kept, 1)
    assert 0 < len(kept) < 9


def test_work_whose_number_is_taken_is_undone_and_other_work_goes_on(
    opened: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "BITS", 4)
    taken = len(collide(opened, consumer))

    def count_then_collide(unit: Unit) -> None:
        unit.positions.count({"lost": 1})
        consumer(unit, taken)

    with pytest.raises(KeyCollision):
        opened.do(count_then_collide)
    opened.do(lambda unit: unit.positions.count({"kept": 1}))
    with opened.store.reading() as reader:
        assert reader.fleet.ledgers().server == {"kept": 1}


def test_a_merge_whose_numbers_are_taken_is_undone_alone(
    opened: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (call(0, "/x"), call(1, "/carts"), call(1, "/users/{id}"), call(1, "/y")):
        opened.do(step)
    before = contents(opened)
    source, target = (opened.do(partial(api, n=n)) for n in (1, 0))
    monkeypatch.setattr(keys, "BITS", 1)

    def merge_and_go_on(unit: Unit) -> None:
        with pytest.raises(KeyCollision):  # three operations with two numbers
            unit.merge(Merge(source, target))

    opened.do(merge_and_go_on)
    monkeypatch.undo()
    assert contents(opened) == before
