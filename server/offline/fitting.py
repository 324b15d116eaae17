"""Tables that lose nothing on a narrow terminal: what does not fit in a row is written below one another."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 160  # if there is no terminal with a width
_BETWEEN = " · "


def console() -> Console:
    """As wide as the terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def print_fitted(
    on: Console, columns: Sequence[str], rows: Iterable[tuple[Sequence[Text], bool]], head: int = 0
) -> None:
    """Prints rows, each with whether it is dim, as a table if that fits; else for each row the cell of the
    column `head`, and below it the others that are not empty, with the names of their columns.
    """
    found = [*rows]
    table = Table(*columns, box=None, header_style="bold")
    for cells, is_dim in found:
        table.add_row(*cells, style="dim" if is_dim else None)
    if Measurement.get(on, on.options.update(max_width=sys.maxsize), table).maximum <= on.width:
        on.print(table)
        return
    for cells, is_dim in found:
        style = "dim" if is_dim else ""
        on.print(cells[head], style=style, overflow="fold")
        named = [
            f"{name} {cell.plain}".strip()
            for number, (name, cell) in enumerate(zip(columns, cells, strict=True))
            if number != head and cell.plain
        ]
        below = Text(_BETWEEN.join(named), overflow="fold")
        on.print(Padding(below, (0, 0, 0, 2), expand=False), style=style)
