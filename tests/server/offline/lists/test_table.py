"""Tables on terminals of any width."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.offline.lists.columns import GREEN, by_status
from server.offline.lists.table import GAP, SAMPLE, Heading, fitted, shortened, width, write_table

HEADINGS = [
    Heading("time"),
    Heading("status", key=True, colour=by_status),
    Heading("path", shrinks=True, key=True),
]
ROW = ["2026-11-23T12:00:00Z", "200", "/orders/of/a/long/name"]


def written(rows: list[list[str]], columns: int | None = None, coloured: bool = False) -> list[str]:
    out = io.StringIO()
    assert write_table(out, HEADINGS, rows, columns, coloured) == len(rows)
    return out.getvalue().splitlines()


def test_without_a_terminal_nothing_is_cut() -> None:
    assert written([ROW]) == [
        "TIME                  STATUS  PATH",
        "2026-11-23T12:00:00Z  200     /orders/of/a/long/name",
    ]


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (50, "2026-11-23T12:00:00Z  200     /orders/of/a/long/n…"),
        (40, "200     /orders/of/a/long/name"),
        (20, "200     /orders/of/…"),
        (8, "200"),
        (2, "2…"),
    ],
)
def test_on_a_narrow_terminal_texts_are_cut_and_then_columns_left_out_keys_last(
    columns: int, shown: str
) -> None:
    assert written([ROW], columns)[1] == shown


@given(
    st.lists(st.integers(1, 60), min_size=4, max_size=4),
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=4, max_size=4),
    st.integers(1, 80),
)
def test_what_fits_is_never_wider_than_the_terminal(
    widths: list[int], how: list[tuple[bool, bool]], columns: int
) -> None:
    headings = [Heading("x", shrinks, key) for shrinks, key in how]
    found = fitted({**dict(enumerate(widths))}, headings, columns)
    assert found
    assert sum(found.values()) + len(GAP) * (len(found) - 1) <= columns


@given(st.text(), st.integers(1, 20))
def test_a_shortened_text_takes_no_more_than_its_room(text: str, room: int) -> None:
    assert width(shortened(text, room)) <= room


def test_chinese_takes_two_columns_a_character() -> None:
    assert (width("订单"), width("e\u0301"), shortened("订单订单", 5)) == (4, 1, "订单…")


def test_colours_are_around_the_text_alone() -> None:
    assert written([ROW], coloured=True)[1].split(GAP)[1] == f"\x1b[{GREEN}m200\x1b[0m"


@pytest.mark.parametrize("count", [1, SAMPLE, SAMPLE + 1])
def test_rows_are_written_as_they_come(count: int) -> None:
    assert len(written([ROW] * count)) == count + 1


def test_without_rows_there_is_no_heading() -> None:
    assert written([]) == []
