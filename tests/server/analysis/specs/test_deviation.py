"""A deviation's identity: when two deviations are the same, now and in stored data."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.analysis.specs.deviation import MAX_POINTER, Deviation
from server.analysis.specs.kinds import Kind, Where


def of(where: str, pointer: str) -> Deviation:
    return Deviation.at(Kind.TYPE, Where(where), pointer, "m")


@pytest.mark.parametrize(
    ("where", "pointer", "kept"),
    [
        ("response.body", "/orders/0/items/12/quantity", "/orders/*/items/*/quantity"),
        ("request.body", "/7", "/*"),
        ("response.body", "/v1/x2", "/v1/x2"),
        ("response.body", "", ""),
        ("query", "/orders/0", "/orders/0"),
    ],
)
def test_all_items_of_an_array_are_one_deviation(where: str, pointer: str, kept: str) -> None:
    assert of(where, pointer).identity("GET /orders").place == kept


def test_a_deviation_is_of_its_identity_at_any_operation_and_of_no_other() -> None:
    one = of("request.body", "/a/3")
    assert one.is_of(of("request.body", "/a/0").identity("GET /a/{id}"))
    assert not one.is_of(of("request.body", "/b/0").identity("GET /a/{id}"))
    assert not one.is_of(of("response.body", "/a/0").identity("GET /a/{id}"))


def test_what_is_shown_is_bounded_and_says_so() -> None:
    assert of("query", "x" * MAX_POINTER).pointer == "x" * MAX_POINTER
    assert of("query", "x" * 10_000).pointer == "x" * MAX_POINTER + "…"


def place_of_77cd586(where: str, pointer: str) -> str:
    """As the tree of that commit stored it: truncated for display, then again. A pointer over 400 characters
    differs if item numbers take 100 of them.
    """
    shown = pointer if len(pointer) <= 400 else pointer[:400] + "…"
    return (re.sub(r"/[0-9]+(?=/|$)", "/*", shown) if where.endswith(".body") else shown)[:300]


TOKENS = st.text(alphabet="ab0~{}é/", max_size=60) | st.integers(0, 9999).map(str)


@given(st.sampled_from(["request.body", "response.body", "query"]), st.lists(TOKENS, max_size=16))
@example("query", ["x" * 298])
@example("query", ["x" * 350])
@example("response.body", ["17", "x" * 350, "7"])
@example("response.body", ["x" * 295, "1234", "y"])
@example("response.body", ["x" * 500])
def test_identities_that_are_stored_still_hold(where: str, tokens: list[str]) -> None:
    pointer = "".join("/" + token for token in tokens)
    assert of(where, pointer).place == place_of_77cd586(where, pointer)
