"""Text that can be shown: parts of what is told come from captured traffic."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` on one line, without commands for terminals."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
