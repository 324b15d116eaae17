"""Parts used by some consumers and not tested by others: which test to write next."""

from __future__ import annotations

from server.analysis.coverage.gaps import gaps
from tests.server.analysis.coverage.shop import by_agent, covered, creating, listing
from tests.server.analysis.specs.spec_calls import call


def test_operations_that_only_one_side_calls_are_ranked_by_their_calls() -> None:
    used = covered(*[listing()] * 3, *[creating({"id": 1})] * 5, call("GET", b"/v1beta1/orders"))
    tested = covered(call("GET", b"/v1beta1/orders"))
    found = gaps(used, tested)["operations"]
    assert [(one["operation"], one["calls"]) for one in found] == [
        ("POST /v1/orders", 5),
        ("GET /v1/orders", 3),
    ]


def test_nothing_is_missing_from_a_test_that_does_the_same() -> None:
    used = covered(listing(query=b"limit=1"), creating({"id": 1}))
    assert gaps(used, used) == {"operations": [], "parts": []}


def test_parts_of_what_both_call_are_told() -> None:
    used = covered(creating({"id": 1, "labels": {}}), creating({}, 422))
    found = gaps(used, covered(creating({"id": 1})))["parts"]
    assert {(one["kind"], one["part"]) for one in found} == {
        ("fields", "request.body/labels"),
        ("fields", "response.body.201/labels"),
        ("hits", "4xx"),
    }


def test_a_list_that_was_only_watched_does_not_test_listing() -> None:
    used, tested = covered(listing()), covered(listing(query=b"watch=1"))
    assert [one["operation"] for one in gaps(used, tested)["operations"]] == ["GET /v1/orders"]
    assert [one["operation"] for one in gaps(tested, used)["operations"]] == ["GET /v1/orders"]


def test_who_used_it_is_said() -> None:
    found = gaps(covered(by_agent(listing(), "shop")), covered())["operations"]
    assert list(found[0]["consumers"]) == ["shop"]
