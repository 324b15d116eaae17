"""Tables on terminals of any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from server.offline.fitting import print_fitted

COLUMNS = ("calls", "operation", "where", "by")
ROWS = [
    ("1,204", "GET /v1/customers/{customerId}/orders", "query sort", "curl/7.88.1"),
    ("3", "GET /", "", "x"),
]


def printed(width: int) -> list[str]:
    out = io.StringIO()
    rows = [([Text(cell) for cell in row], False) for row in ROWS]
    print_fitted(Console(file=out, width=width, highlight=False), COLUMNS, rows, head=1)
    return out.getvalue().splitlines()


def test_a_table_that_fits_has_a_line_for_each_row() -> None:
    lines = printed(80)
    assert lines[0].split() == [*COLUMNS]
    assert lines[1].split("  ")[1].strip() == ROWS[0][1]
    assert len(lines) == 3


@pytest.mark.parametrize("width", [8, 20, 40, 60])
def test_on_a_narrow_terminal_no_cell_is_cut(width: int) -> None:
    lines = printed(width)
    assert max(map(len, lines)) <= width
    shown = "".join("".join(lines).split())
    for row in ROWS:
        for name, cell in zip(COLUMNS, row, strict=True):
            told = cell if name == "operation" or not cell else name + cell
            assert told.replace(" ", "") in shown


def test_on_a_narrow_terminal_the_operation_comes_first_and_what_is_empty_is_left_out() -> None:
    assert printed(60) == [
        "GET /v1/customers/{customerId}/orders",
        "  calls 1,204 · where query sort · by curl/7.88.1",
        "GET /",
        "  calls 3 · by x",
    ]
