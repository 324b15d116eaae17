"""Lists of a server as plain tables of text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from server.analysis.printable import printable


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str | None]]) -> None:
    """Prints rows below the names of their columns; an absent value is a hyphen."""
    table = [[name.upper() for name in columns], *([plain(text) for text in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{line.rstrip()}\n")


def plain(text: str | None) -> str:
    """Text from elsewhere on one line, without commands for terminals, nor those that GitHub's runner takes
    from anywhere in a line (`##[`).
    """
    return printable(text or "-").replace("##[", "##\N{REPLACEMENT CHARACTER}[")
