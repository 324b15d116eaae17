"""What two views have to say alike to be of one call, and when."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from agent.wire import Body, Endpoint, Record
from server.analysis.clocks import SLACK_NS
from server.analysis.likeness import (
    LONGEST_NS,
    agree,
    is_uncertain,
    is_unplaced,
    likeness_of,
    may_be_one,
    placed,
)
from server.analysis.witnesses import View, mark_of, view_of
from tests.server.records import MS, NETNS, NOON, record

NOWHERE: dict[str, Any] = {"client": None, "server": None}


def view(side: str, start: int, end: int, **ends: Any) -> View:
    one = record(0, side, tls="openssl", **ends)
    timing = replace(one.timing, request_start=NOON + start, end=NOON + end)
    one = replace(one, timing=timing)
    return view_of(one, 1, mark_of(one))


def seen(side: str = "client", **changed: Any) -> Record:
    return record(0, side, **{"tls": "openssl", **changed})


def test_a_view_is_unplaced_whose_agent_knew_the_process_and_no_address() -> None:
    assert is_unplaced(seen(**NOWHERE))
    assert not is_unplaced(seen())
    assert not is_unplaced(seen(**NOWHERE, process=None)), "of a file"
    assert is_uncertain([seen(**NOWHERE)])
    assert not is_uncertain([seen(**NOWHERE), seen("server")])


def test_both_views_of_a_call_have_one_likeness_whichever_of_them_is_unplaced() -> None:
    views = [seen(side, **ends) for side in ("client", "server") for ends in (NOWHERE, {})]
    assert len({likeness_of(one) for one in views}) == 1
    assert likeness_of(views[0]) is not None


@pytest.mark.parametrize(
    "changed",
    [
        {"node": "node-2"},
        {"cluster": "other"},
        {"protocol": "h2"},
        {"path": "/users/2"},
        {"path": "/users/1?a=1"},
        {"method": "PUT"},
        {"host": b"other"},
        {"status": 404},
    ],
)
def test_what_differs_in_anything_both_ends_know_has_another_likeness(changed: dict[str, Any]) -> None:
    assert likeness_of(seen(**NOWHERE)) != likeness_of(seen("server", **changed)) is not None


def test_a_stream_of_http2_is_the_same_at_both_ends_and_an_ordinal_of_http1_need_not_be() -> None:
    assert likeness_of(seen(stream=3)) == likeness_of(seen(stream=5))
    assert likeness_of(seen(stream=3, protocol="h2")) != likeness_of(seen(stream=5, protocol="h2"))


@pytest.mark.parametrize(
    "changed",
    [
        {"tls": None},
        {"status": None},
        {"completeness": "gap"},
        {"request": None},
        {"side": "unknown"},
        {"took": LONGEST_NS + MS},
        {"client": Endpoint("10.0.0.1", 40000)},
        {"via": Endpoint("127.0.0.1", 3128)},
    ],
)
def test_a_view_that_says_too_little_or_is_of_another_host_has_no_likeness(changed: dict[str, Any]) -> None:
    assert likeness_of(seen(**{"side": "server", **changed})) is None


def test_a_call_to_an_address_of_ones_own_stays_on_the_node() -> None:
    own = Endpoint("10.0.0.1", 40000), Endpoint("10.0.0.1", 8080)
    assert likeness_of(seen(client=own[0], server=own[1])) is not None


def test_the_servers_view_lies_within_the_clients() -> None:
    client = view("client", 0, 10 * MS, **NOWHERE)
    assert may_be_one(client, view("server", 0, 10 * MS))
    assert may_be_one(view("server", 5 * MS, 6 * MS), client)
    assert not may_be_one(client, view("server", -1, 5 * MS)), "a proxy's own call begins later"
    assert may_be_one(client, view("server", 5 * MS, 10 * MS + SLACK_NS)), "its last write returned late"
    assert not may_be_one(client, view("server", 5 * MS, 10 * MS + SLACK_NS + 1))


def test_a_client_whose_write_returned_late_may_seem_to_begin_after_its_server() -> None:
    server = view("server", 0, 10 * MS, **NOWHERE)
    assert may_be_one(view("client", SLACK_NS, 10 * MS), server)
    assert not may_be_one(view("client", SLACK_NS + 1, 10 * MS), server)
    assert not may_be_one(view("client", 0, 10 * MS - 1), server)


def test_two_views_of_one_side_or_with_ends_are_no_others_half_by_likeness() -> None:
    assert not may_be_one(view("client", 0, MS, **NOWHERE), view("client", 0, MS, **NOWHERE))
    assert not may_be_one(view("client", 0, MS), view("server", 0, MS))


def test_views_agree_where_neither_says_otherwise() -> None:
    one = seen()
    assert one.request is not None
    assert one.response is not None
    other = replace(one, request=replace(one.request, headers=((b"x-id", b"2"),)))
    assert agree(one, seen("server"))
    assert not agree(one, other)
    assert agree(one, replace(other, fields_unknown=1)), "not all fields were captured"
    cut = replace(one, response=replace(one.response, body=Body(11, None, "unseen")))
    assert agree(one, cut)
    another = replace(one, response=replace(one.response, body=Body(11, b'{"id": "b"}', "complete")))
    assert not agree(one, another)


def test_an_unplaced_view_has_the_ends_of_the_other_one() -> None:
    client, server = seen(), seen("server", **NOWHERE)
    assert [one.server for one in placed([client, server])] == [Endpoint("127.0.0.1", 8080, NETNS)] * 2
    assert placed([server]) == [server]
    own = seen(client=Endpoint("10.0.0.1", 1, NETNS), server=Endpoint("10.0.0.1", 2))
    assert placed([own, server])[1].server == Endpoint("10.0.0.1", 2, NETNS), "both are in one namespace"
