"""A table on a terminal or in a pipe, written as its rows come: the first decide how wide a column is."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO

GAP = "  "
LEAST = 8  # characters that a cut column keeps
SAMPLE = 500  # rows
ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's name, whether it may be cut, and the SGR code for each of its texts."""

    name: str
    shrinks: bool = False
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
    widths = [max(map(width, column)) for column in zip(*first, strict=True)]
    if columns is not None:
        widths = fitted(widths, [one.shrinks for one in headings], columns)
    count = -1
    for row in _all(first, left):
        cells = [
            _cell(text, room, heading if coloured and count >= 0 else None, columns is not None)
            for text, room, heading in zip(row, widths, headings, strict=False)
        ]
        out.write(f"{GAP.join(cells).rstrip()}\n")
        count += 1
    return count


def _all(first: Sequence[Sequence[str]], left: Iterator[Sequence[str]]) -> Iterator[Sequence[str]]:
    yield from first
    yield from left


def fitted(widths: Sequence[int], shrinks: Sequence[bool], columns: int) -> list[int]:
    """Widths that fit: the widest column that may be cut is, then the last columns are left out."""
    found = [*widths]
    while _total(found) > columns:
        cut = [at for at, one in enumerate(found) if shrinks[at] and one > LEAST]
        if not cut:
            break
        found[max(cut, key=found.__getitem__)] -= 1
    while _total(found) > columns and len(found) > 1:
        found.pop()
    if _total(found) > columns:
        found[0] = max(1, columns)
    return found


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


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
