"""Lines of a file, of bounded length, with their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

MAX_LINE = 24 * 1024 * 1024
_PIECE = 1024 * 1024


class Lines(Protocol):
    """A file that can be read by lines."""

    def readline(self, size: int, /) -> bytes: ...


def lines(file: Lines) -> Iterator[tuple[int, bytes | None]]:
    """Each line that is not empty, with its number from 1; None for one longer than MAX_LINE."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE and not line.endswith(b"\n"):
            _skip(file)
            yield number, None
        elif line.strip():
            yield number, line


def _skip(file: Lines) -> None:
    while (piece := file.readline(_PIECE)) and not piece.endswith(b"\n"):
        pass
