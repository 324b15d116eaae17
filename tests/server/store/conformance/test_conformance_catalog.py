"""APIs, operations and consumers: stored once, bounded, merged without loss."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
from msgspec.structs import replace

from agent.wire import Endpoint, Record
from server.analysis.inventory import ApiKind, ConsumerKind
from server.store.filters import Filters
from server.store.rows import OperationKind
from server.store.unit import Unit
from server.store.values import WORKLOAD_PREFIX, Contribution, Leftover, Merge
from tests.server.narrowed import by
from tests.server.records import NETNS, NOON, record
from tests.server.store.conformance.opened import OpenStore, count, someone, take

VIRTUAL = Endpoint("10.96.0.1", 80)


def client_view(port: int = 40000) -> Record:
    """A call through a virtual address, seen by its client only."""
    return record(0, "client", port=port, server=VIRTUAL, host=None)


def test_an_api_is_created_once_whoever_asks_and_whenever(opened: OpenStore) -> None:
    first, merge = opened.do(lambda unit: unit.apis.resolve(record(0)))
    assert (opened.do(lambda unit: unit.apis.resolve(record(1))), merge) == ((first, None), None)
    opened.undo(lambda unit: unit.apis.resolve(client_view()))
    opened.again()
    assert opened.do(lambda unit: unit.apis.resolve(record(2))) == (first, None)
    other, _ = opened.do(lambda unit: unit.apis.resolve(client_view()))
    assert other != first


def test_an_api_has_an_id_for_the_outside(opened: OpenStore) -> None:
    api, _ = opened.do(someone)
    id = opened.do(lambda unit: unit.apis.id_of(api))
    assert opened.do(lambda unit: unit.apis.number_of(id)) == api
    assert opened.do(lambda unit: unit.apis.number_of("none")) is None
    with opened.store.reading() as reader:
        assert reader.inventory.number_of(id) == api
        assert reader.inventory.number_of("none") is None
        assert reader.inventory.name_of(api) == "nginx:8080"


@pytest.mark.parametrize("turns", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_what_several_specifications_say_of_an_operation_does_not_depend_on_their_order(
    opened: OpenStore, turns: Sequence[int]
) -> None:
    api, consumer = opened.do(someone)
    said = [(False, "getUser"), (True, None), (False, "fetchUser")]

    def describe(turn: int, unit: Unit) -> None:
        number = unit.operations.specified(api, "GET /users/{id}", *said[turn])
        count(unit, Contribution(number, consumer, 200, NOON, None, None))

    for turn in turns:
        opened.do(partial(describe, turn))
        opened.again()
    (row,) = opened.operations(api)
    assert (row.deprecated, row.operation_id, row.count) == (True, "fetchUser", 3)


def test_an_address_that_leads_to_one_server_is_that_servers(opened: OpenStore) -> None:
    def learn(unit: Unit) -> tuple[int, int]:
        api, _ = unit.apis.resolve(record(0))
        assert unit.apis.learn(client_view(), api) is None
        return api, unit.apis.resolve(client_view())[0]

    api, through = opened.do(learn)
    assert api == through
    opened.again()
    assert opened.do(lambda unit: unit.apis.resolve(client_view()))[0] == api


def test_an_address_that_leads_to_two_servers_is_nobodys(opened: OpenStore) -> None:
    def learn(unit: Unit) -> tuple[int, int, int]:
        one, _ = unit.apis.resolve(record(0))
        two, _ = unit.apis.resolve(record(0, server=Endpoint("10.0.0.1", 9090, NETNS)))
        unit.apis.learn(client_view(), one)
        unit.apis.learn(client_view(), two)
        return one, two, unit.apis.resolve(client_view())[0]

    one, two, through = opened.do(learn)
    assert len({one, two, through}) == 3
    opened.again()
    assert opened.do(lambda unit: unit.apis.resolve(client_view()))[0] == through


def test_a_declared_host_waits_for_its_traffic(opened: OpenStore) -> None:
    declared = opened.do(lambda unit: unit.apis.declare(["shop.local:8080"], "Shop"))
    assert opened.do(lambda unit: unit.apis.declare(["shop.local:8080"], "Other")) == declared
    (row,) = opened.apis()
    assert (row.number, row.kind, row.hosts) == (declared, ApiKind.DECLARED, ["shop.local:8080"])
    opened.again()
    api, merge = opened.do(lambda unit: unit.apis.resolve(record(0)))
    assert merge == Merge(declared, api)


def test_a_workload_can_be_declared(opened: OpenStore) -> None:
    server = Endpoint("10.0.0.1", 8080, NETNS, namespace="shop", workload="orders")
    view = record(0, server=server)
    api, _ = opened.do(lambda unit: unit.apis.resolve(view))
    assert opened.do(lambda unit: unit.apis.declare([f"{WORKLOAD_PREFIX}shop/orders"], "Orders")) == api


def in_cluster(cluster: str | None, ordinal: int = 0) -> Record:
    return replace(record(ordinal), cluster=cluster)


@pytest.mark.parametrize("name", ["shop.local:8080", f"{WORKLOAD_PREFIX}shop/orders"])
def test_what_is_declared_for_a_cluster_is_the_api_of_that_cluster(opened: OpenStore, name: str) -> None:
    def view(cluster: str | None) -> Record:
        server = Endpoint("10.0.0.1", 8080, NETNS, namespace="shop", workload="orders")
        return replace(in_cluster(cluster), server=server)

    def called(unit: Unit) -> dict[str, int]:
        found = {}
        for cluster, calls in (("east", 3), ("west", 1)):
            found[cluster], _ = unit.apis.resolve(view(cluster))
            unit.apis.add_host(found[cluster], view(cluster))
            take(unit, *(replace(view(cluster), id=f"{cluster} {n}") for n in range(calls)))
        return found

    apis = opened.do(called)
    for cluster, api in apis.items():
        assert opened.do(partial(declare, [name], cluster)) == api
    assert opened.do(partial(declare, [name], None)) == apis["east"]  # the busiest


def declare(names: list[str], cluster: str | None, unit: Unit) -> int:
    return unit.apis.declare(names, "Shop", cluster)


def test_what_is_declared_for_a_cluster_waits_for_traffic_of_that_cluster(opened: OpenStore) -> None:
    declared = {one: opened.do(partial(declare, ["shop.local"], one)) for one in ("east", "west", "north")}
    assert len(set(declared.values())) == 3
    assert [row.number for row in opened.apis(by(cluster="west"))] == [declared["west"]]
    opened.again()
    for cluster in ("west", "east"):
        api, merge = opened.do(partial(resolve, in_cluster(cluster)))
        assert merge == Merge(declared[cluster], api)
    _, merge = opened.do(lambda unit: unit.apis.resolve(in_cluster(None)))
    assert merge is None


def test_what_is_declared_for_any_cluster_waits_for_the_first_that_has_none_of_its_own(
    opened: OpenStore,
) -> None:
    anywhere = opened.do(partial(declare, ["shop.local"], None))
    east = opened.do(partial(declare, ["shop.local"], "east"))
    assert east != anywhere
    for cluster, declared in (("east", east), ("west", anywhere)):
        api, merge = opened.do(partial(resolve, in_cluster(cluster)))
        assert merge == Merge(declared, api)


def resolve(one: Record, unit: Unit) -> tuple[int, Merge | None]:
    return unit.apis.resolve(one)


def test_names_that_clients_used_are_kept_once(opened: OpenStore) -> None:
    api, _ = opened.do(lambda unit: (take(unit, record(0)), unit.apis.resolve(record(0)))[1])
    for _ in range(2):
        opened.do(lambda unit: unit.apis.add_host(api, record(0)))
        opened.again()
    (row,) = opened.apis()
    assert row.hosts == ["shop.local:8080"]


def test_changes_of_specifications_are_counted_and_what_is_stored_is_to_be_judged(opened: OpenStore) -> None:
    (draft,) = opened.do(lambda unit: take(unit, record(0)))
    assert opened.do(lambda unit: unit.apis.to_judge()) == []
    opened.do(lambda unit: unit.apis.revise(draft.api))
    assert opened.do(lambda unit: unit.apis.revisions()) == {draft.api: 1}
    assert opened.do(lambda unit: unit.apis.to_judge()) == [draft.api]
    assert opened.do(lambda unit: unit.samples.unjudged(draft.api, 1, 9)) == [draft.number]


def test_two_apis_become_one_without_losing_a_count(opened: OpenStore) -> None:
    other = record(0, server=Endpoint("10.0.0.1", 9090, NETNS), id="other", port=50000)
    old, new = opened.do(lambda unit: take(unit, other, record(1)))
    old_id = opened.do(lambda unit: unit.apis.id_of(old.api))
    opened.do(lambda unit: unit.merge(Merge(old.api, new.api)))
    (row,) = opened.apis()
    assert (row.number, row.exchanges, row.merged) == (new.api, 2, [old_id])
    (operation,) = opened.operations(new.api)
    assert (operation.count, operation.statuses) == (2, {200: 2})
    assert {one.api for one in opened.exchanges()} == {new.api}
    with opened.store.reading() as reader:
        assert reader.inventory.number_of(old_id) == new.api
        assert reader.inventory.merged_into([old.api, new.api]) == {old.api: new.api}
    assert opened.do(lambda unit: unit.apis.resolve(other))[0] == new.api


def test_a_template_becomes_what_a_specification_calls_it_and_back(opened: OpenStore) -> None:
    api, consumer = opened.do(someone)
    number = opened.do(lambda unit: unit.operations.provisional(api, "GET", "/users/{id}"))
    described = opened.do(lambda unit: unit.operations.specified(api, "GET /users/{id}", True, "getUser"))
    assert described == number
    opened.do(lambda unit: count(unit, Contribution(number, consumer, 200, NOON, None, None)))
    (row,) = opened.operations(api)
    assert (row.kind, row.deprecated, row.operation_id) == (OperationKind.SPECIFIED, True, "getUser")
    opened.do(lambda unit: unit.operations.demote(api))
    (row,) = opened.operations(api)
    assert (row.kind, row.deprecated, row.operation_id) == (OperationKind.PROVISIONAL, False, None)
    assert opened.do(lambda unit: unit.operations.key_of(number)) == "GET /users/{id}"


def test_templates_are_bounded_and_half_of_the_room_is_for_what_is_there(opened: OpenStore) -> None:
    api, _ = opened.do(someone)

    def guess(unit: Unit) -> list[int]:
        return [unit.operations.provisional(api, "GET", f"/{n}", found=False) for n in range(2000)]

    guessed = opened.do(guess)
    overflow = guessed[-1]
    assert guessed.count(overflow) > 1
    assert opened.do(lambda unit: unit.operations.provisional(api, "GET", "/real")) != overflow
    assert opened.do(lambda unit: unit.operations.unseen(api)) not in guessed


def test_counts_without_samples_move_to_another_operation(opened: OpenStore) -> None:
    api, consumer = opened.do(someone)

    def call_both(unit: Unit) -> tuple[int, int]:
        source = unit.operations.provisional(api, "GET", "/old")
        target = unit.operations.specified(api, "GET /new", False, None)
        both = [Contribution(one, consumer, 200, NOON, 3, "conforming") for one in (source, target)]
        count(unit, *both)
        return source, target

    source, target = opened.do(call_both)
    opened.do(lambda unit: unit.operations.move_counts(source, target))
    (row,) = opened.operations(api)
    assert (row.number, row.count, row.statuses) == (target, 2, {200: 2})
    assert (row.verdicts, row.latency) == ({"conforming": 2}, {3: 2})
    assert opened.do(lambda unit: unit.operations.provisional(api, "GET", "/old")) != target


def test_calls_without_a_verdict_that_are_not_stored_are_left_over(opened: OpenStore) -> None:
    stored = opened.do(lambda unit: take(unit, record(0), record(1, path="/b"), record(2, path="/b")))
    api = stored[0].api
    consumer = opened.do(lambda unit: unit.consumers.number(ConsumerKind.PROCESS, "curl"))

    def call(unit: Unit) -> tuple[int, ...]:
        key = unit.operations.provisional
        numbers = (key(api, "GET", "/b"), key(api, "GET", "/c"), unit.operations.unseen(api))
        for number in numbers:
            for verdict in (None, None, "conforming"):
                count(unit, Contribution(number, consumer, 200, NOON, 3, verdict))
        return numbers

    b, c, _ = opened.do(call)
    left = [
        Leftover(b, "GET /b", OperationKind.PROVISIONAL, "GET", "/b", 2, sampled=True),
        Leftover(c, "GET /c", OperationKind.PROVISIONAL, "GET", "/c", 2, sampled=False),
    ]
    assert sorted(opened.do(lambda unit: unit.operations.leftovers(api)), key=lambda one: one.key) == left

    def judge(unit: Unit) -> None:
        for one in left:
            unit.calls.judge(one.number, "unjudged", None, one.count)
        unit.calls.flush()

    opened.do(judge)
    assert opened.do(lambda unit: unit.operations.leftovers(api)) == []
    assert {one.key: one.verdicts for one in opened.operations(api)}["GET /c"] == {
        "conforming": 1,
        "unjudged": 2,
    }
    with opened.store.reading() as reader:
        hours = reader.consumers.calls_by_hour(Filters(api=api))
    assert {one.verdict: one.count for one in hours} == {"conforming": 3, "unjudged": 4, None: 5}
    opened.do(lambda unit: unit.calls.reset_verdicts(api))
    assert [one.verdicts for one in opened.operations(api)] == [{}] * 4


def test_consumers_are_known_once_bounded_and_go_when_nothing_refers_to_them(opened: OpenStore) -> None:
    names = [f"agent/{n}" for n in range(3000)]

    def ask(unit: Unit) -> list[int]:
        return [unit.consumers.number(ConsumerKind.USER_AGENT, name) for name in names]

    first = opened.do(ask)
    assert len(set(first)) < len(names)
    opened.again()
    assert opened.do(ask) == first
    view = record(0)
    opened.do(lambda unit: take(unit, replace(view, consumer=replace(view.consumer, user_agent="agent/7"))))
    with opened.store.reading() as reader:
        unused = reader.inventory.unused_consumers()
    assert first[7] not in unused
    assert opened.do(lambda unit: unit.consumers.drop_unused([*unused, first[7]])) == len(unused)
    assert opened.do(lambda unit: unit.consumers.number(ConsumerKind.USER_AGENT, "agent/7")) == first[7]


def test_an_api_is_found_by_its_hosts_and_there_may_be_one_of_each_cluster(opened: OpenStore) -> None:
    apis = [
        opened.do(partial(declare, ["shop.local", "store.local"], cluster)) for cluster in ("west", "east")
    ]
    with opened.store.reading() as reader:
        assert reader.inventory.at_host("store.local") == sorted(apis)
        assert reader.inventory.at_host("elsewhere.local") == []
