"""Answers have a bounded size, and hide nothing from the person who reads along."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.analysis.json import Json
from server.mcp.bounds import LISTED, MOST_CHARACTERS, Bounds, cut, fitting, shortened

SMALL = Bounds(5, 2, 2, 2)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_what_is_cut_says_by_how_much() -> None:
    assert cut("a" * 8, SMALL) == "aaaaa… 3 characters more"
    assert cut([1, 2, 3, 4], SMALL) == [1, 2, "… 2 more"]
    assert cut({"a": 1, "b": 2, "c": 3}, SMALL) == {"a": 1, "b": 2, "…": "1 more"}
    assert cut([[[1, 2]]], SMALL) == [["… 2 entries"]]


@pytest.mark.parametrize("hidden", ["\x1b[2J", "\u202eevil", "\u200bzero", "\U000e0041tag", "\ud800", "\x00"])
def test_characters_that_cannot_be_seen_are_replaced(hidden: str) -> None:
    shown = shortened(f"a {hidden} b", 100)
    assert shown.isprintable()
    assert "\N{REPLACEMENT CHARACTER}" in shown
    assert shortened("line\n\tline", 100) == "line\n\tline"


@given(VALUES)
def test_any_value_becomes_json_that_fits(value: Json) -> None:
    text = fitting(value)
    assert text is not None
    assert len(text) <= MOST_CHARACTERS
    text.encode()
    json.loads(text)


def test_the_largest_exchange_fits_with_all_its_members() -> None:
    header: Json = [{"text": "n" * 100}, {"text": "v" * 8_000}]
    half: Json = {"headers": [header] * 500, "body": {"text": "x" * 65_536}}
    exchange: Json = {"request": half, "response": half, "deviations": [{"message": "m" * 900}] * 100}
    text = fitting(exchange)
    assert text is not None
    assert len(text) <= MOST_CHARACTERS
    assert set(json.loads(text)) == {"request", "response", "deviations"}


def test_a_value_of_an_impossible_size_is_none_that_fits() -> None:
    wide: Json = [[[[[[["x" * 80] * 9] * 9] * 9] * 9] * 9] * 9]
    assert fitting(wide) is None
    assert isinstance(cut(wide, LISTED), list)
