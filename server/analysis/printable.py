"""Text that can be shown: parts of what is told come from captured traffic."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` on one line, without commands for terminals."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_cell(text: str) -> str:
    """A text as a cell of CSV: one that a spreadsheet would run as a formula is quoted for it."""
    text = printable(text)
    return f"'{text}" if text.startswith(_FORMULA) else text
