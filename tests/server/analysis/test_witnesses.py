"""The views of one call are paired with each other only."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import Endpoint, Record
from server.analysis.clocks import SKEW_NS
from server.analysis.witnesses import Pending, View, mark_of, view_of
from tests.server.records import CURL, MS, NOON, record


def pairs(records: Iterable[Record], pending: Pending | None = None) -> set[frozenset[str]]:
    """Records paired as one call, by id."""
    pending = Pending() if pending is None else pending
    ids: list[str] = []
    found = set()
    for number, one in enumerate(records):
        ids.append(one.id)
        mark = mark_of(one)
        if mark is None:
            continue
        view = view_of(one, number, mark)
        other = pending.take(view)
        if other is None:
            pending.add(view)
        else:
            found.add(frozenset((ids[other.exchange], one.id)))
    return found


def calls(count: int, **options: Any) -> tuple[list[Record], list[Record]]:
    """Both views of `count` calls on one connection, all alike."""
    return (
        [record(n, "client", id=f"c{n}", **options) for n in range(count)],
        [record(n, "server", id=f"s{n}", **options) for n in range(count)],
    )


def right(count: int) -> set[frozenset[str]]:
    return {frozenset((f"c{n}", f"s{n}")) for n in range(count)}


@pytest.mark.parametrize("seed", range(20))
def test_identical_calls_of_a_connection_pair_in_any_order_of_arrival(seed: int) -> None:
    views = [*itertools.chain(*calls(12))]
    random.Random(seed).shuffle(views)
    assert pairs(views) == right(12)


def test_one_end_may_arrive_wholly_before_the_other() -> None:
    clients, servers = calls(2000)
    assert pairs(clients + servers) == pairs(servers + clients) == right(2000)


@pytest.mark.parametrize("late", [1, 3])
@pytest.mark.parametrize("swapped", [False, True])
def test_an_end_that_was_joined_late_counts_its_calls_from_another_number(late: int, swapped: bool) -> None:
    clients, servers = calls(8)
    servers = [replace(one, stream=one.stream - late) for one in servers[late:]]
    ends = (servers, clients) if swapped else (clients, servers)
    assert pairs([*ends[0], *ends[1]]) == {frozenset((f"c{n}", f"s{n}")) for n in range(late, 8)}


def test_where_both_ends_were_seen_from_the_start_no_call_is_paired_out_of_step() -> None:
    """Of two calls of one target, one lost its client's view and the other its server's."""
    client = record(0, "client", client=Endpoint("10.0.0.1", 40000))
    server = on_other_node(record(1, "server", start=NOON, client=Endpoint("10.0.0.1", 40000)), MS)

    def guess(absolute: bool) -> View | None:
        pending = Pending()
        one, other = (
            view_of(replace(one, absolute=absolute), n, mark_of(one))
            for n, one in enumerate((client, server))
        )
        assert pending.take(one) is None
        pending.add(other)
        return pending.take_last(one).found

    assert guess(absolute=False) is not None
    assert guess(absolute=True) is None


@pytest.mark.parametrize("step", [-300 * MS, -5 * MS, 5 * MS, 300 * MS])
@pytest.mark.parametrize("absolute", [False, True])
def test_a_clock_may_be_set_between_the_views_of_a_call_counted_from_the_start(
    absolute: bool, step: int
) -> None:
    """Their times are of one clock and do not meet: only exact ordinals show that they are of one call."""
    client = replace(record(3, "client", id="c"), absolute=absolute)
    server = replace(record(3, "server", start=client.time + step, id="s"), absolute=absolute)
    expected = {frozenset("cs")} if absolute else set()
    assert pairs([client, server]) == pairs([server, client]) == expected


@pytest.mark.parametrize("lost", range(4))
def test_a_view_that_never_comes_leaves_its_call_single(lost: int) -> None:
    clients, servers = calls(4)
    del servers[lost]
    expected = right(4) - {frozenset((f"c{lost}", f"s{lost}"))}
    assert pairs(clients + servers) == pairs(servers + clients) == expected


def test_two_ends_with_no_call_in_common_do_not_pair() -> None:
    clients, servers = calls(8)
    assert pairs(clients[0::2] + servers[1::2]) == set()


def test_the_address_that_the_client_called_may_be_translated() -> None:
    clients, servers = calls(3, client=Endpoint("10.0.0.1", 40000))
    clients = [replace(one, server=Endpoint("10.96.0.10", 80)) for one in clients]
    servers = [replace(one, server=Endpoint("10.1.2.3", 8080)) for one in servers]
    assert pairs(clients + servers) == right(3)


def on_other_node(one: Record, skew: int) -> Record:
    timing = replace(
        one.timing,
        **{
            name: moment + skew
            for name in ("request_start", "request_end", "first_byte", "end")
            if (moment := getattr(one.timing, name)) is not None
        },
    )
    return replace(one, node="node-2", agent="agent-2", time=one.time + skew, timing=timing)


@pytest.mark.parametrize("skew", [-500 * MS, 0, 500 * MS])
def test_clocks_of_two_nodes_may_differ(skew: int) -> None:
    clients, servers = calls(6, client=Endpoint("10.0.0.1", 40000))
    servers = [on_other_node(one, skew) for one in servers]
    assert pairs(clients + servers) == pairs(servers + clients) == right(6)


def test_a_port_that_is_used_again_later_is_another_call() -> None:
    first, again = record(0, "client", id="c"), record(0, "server", start=NOON + 2 * SKEW_NS, id="s")
    assert pairs([first, again]) == set()
    assert pairs([first, on_other_node(again, 0)]) == set()


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "/users/2"},
        {"path": "/users/1?a=1"},
        {"method": "POST"},
        {"host": b"other"},
        {"status": 404},
        {"port": 40001},
        {"client": Endpoint("127.0.0.1", 40000, 99)},
        {"client": None},
        {"cluster": "other"},
        {"side": "client", "connection": "another"},
    ],
)
def test_what_differs_is_another_call(changed: dict[str, Any]) -> None:
    assert (
        pairs([record(0, "client", id="c"), record(0, **{"side": "server", "id": "s", **changed})]) == set()
    )


def test_a_view_of_unknown_side_is_the_other_half_of_any() -> None:
    unknown = record(0, "unknown", id="u", process=None)
    assert pairs([record(0, "client", id="c"), unknown]) == {frozenset("cu")}
    assert pairs([record(0, "server", id="s"), unknown]) == {frozenset("su")}


def test_a_view_without_response_pairs_with_one_that_has_it() -> None:
    assert pairs([record(0, "client", id="c", status=None), record(0, "server", id="s")]) == {frozenset("cs")}


def test_an_answer_may_be_complete_before_the_body_of_its_request() -> None:
    client, server = record(0, "client", id="c", protocol="h2"), record(0, "server", id="s", protocol="h2")
    assert client.request is not None
    sent = replace(client.request, body=replace(client.request.body, size=15))
    client = replace(client, request=sent)
    assert pairs([server, client]) == set()
    server = replace(server, timing=replace(server.timing, request_end=None))
    assert pairs([server, client]) == pairs([client, server]) == {frozenset("cs")}


def test_what_found_its_half_or_was_removed_waits_no_more() -> None:
    pending = Pending()
    clients, servers = calls(30)
    assert pairs(itertools.chain(*zip(clients, servers, strict=True)), pending) == right(30)
    assert len(pending) == 0
    client, server = clients[0], servers[0]
    mark = mark_of(client)
    assert mark is not None
    pending.add(view_of(client, 0, mark))
    assert len(pending) == 1
    pending.remove(view_of(client, 0, mark))
    pending.remove(view_of(client, 0, mark))
    assert len(pending) == 0
    assert pending.take(view_of(server, 1, mark)) is None


def test_processes_of_one_connection_are_told_apart_by_connection_id() -> None:
    one = record(0, "unknown", id="a", process=CURL)
    assert pairs([one, replace(one, id="b")]) == set()


def test_connections_of_one_name_in_two_clusters_are_two() -> None:
    east, west = (view_of(replace(record(0), cluster=cluster), 0, 1) for cluster in ("east", "west"))
    assert east.connection != west.connection
    assert east.clock != west.clock
