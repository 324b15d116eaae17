"""A table on a terminal or in a pipe, written as its rows come: the first decide how wide a column is."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import IO

GAP = "  "
LEAST, LEAST_KEY = 16, 4  # terminal columns that a cut column keeps
SAMPLE = 500  # rows
ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's name, whether it may be cut, whether it is left out after all others that are no `key`, and
    the SGR code for each of its texts.
    """

    name: str
    shrinks: bool = False
    key: bool = False
    colour: Callable[[str], str | None] | None = None


def write_table(
    out: IO[str],
    headings: Sequence[Heading],
    rows: Iterable[Sequence[str]],
    columns: int | None = None,
    coloured: bool = False,
) -> int:
    """Writes printable rows below their headings, cut to a terminal of so many columns; nothing if there are
    no rows. Returns their number.
    """
    left = iter(rows)
    sample = [*islice(left, SAMPLE)]
    if not sample:
        return 0
    first = [[one.name.upper() for one in headings], *sample]
    widths = {at: max(map(width, column)) for at, column in enumerate(zip(*first, strict=True))}
    if columns is not None:
        widths = fitted(widths, headings, columns)
    count = -1
    for row in chain(first, left):
        cells = [
            _cell(row[at], room, headings[at] if coloured and count >= 0 else None, columns is not None)
            for at, room in widths.items()
        ]
        out.write(f"{GAP.join(cells).rstrip()}\n")
        count += 1
    return count


def fitted(widths: Mapping[int, int], headings: Sequence[Heading], columns: int) -> dict[int, int]:
    """The columns that fit, by number, with their widths: what may be cut is, then columns are left out from
    the right, keys last.
    """
    kept = [*widths]
    leaving = sorted(kept, key=lambda at: (headings[at].key, -at))
    for at in leaving[:-1]:
        least = LEAST_KEY if all(headings[one].key for one in kept) else LEAST
        found = _shrunk({one: widths[one] for one in kept}, headings, columns, least)
        if _total(found) <= columns:
            return found
        kept.remove(at)
    (last,) = kept
    return {last: max(1, min(widths[last], columns))}


def _shrunk(widths: dict[int, int], headings: Sequence[Heading], columns: int, least: int) -> dict[int, int]:
    """Widths with those cut that may be, the widest first, as far as they must and may be."""
    while _total(widths) > columns:
        cut = [at for at, one in widths.items() if headings[at].shrinks and one > least]
        if not cut:
            break
        widths[max(cut, key=widths.__getitem__)] -= 1
    return widths


def _total(widths: Mapping[int, int]) -> int:
    return sum(widths.values()) + len(GAP) * (len(widths) - 1)


def _cell(text: str, room: int, heading: Heading | None, cut: bool) -> str:
    shown = shortened(text, room) if cut else text
    padding = " " * max(0, room - width(shown))
    code = heading.colour(text) if heading is not None and heading.colour is not None else None
    return f"{shown}{padding}" if code is None else f"\x1b[{code}m{shown}\x1b[0m{padding}"


def shortened(text: str, room: int) -> str:
    """The text, or as much of its beginning as so many terminal columns take."""
    if width(text) <= room:
        return text
    kept, used = "", 1
    for char in text:
        used += width(char)
        if used > room:
            break
        kept += char
    return kept + ELLIPSIS


def width(text: str) -> int:
    """The terminal columns of a printable text: Chinese takes two a character, a combining accent none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
