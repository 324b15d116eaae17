"""The progress of reading a file, on standard error if that is a terminal."""

from __future__ import annotations

import os
import stat
import sys
import time
from types import TracebackType
from typing import TextIO

EVERY_S = 0.2
WIDTH = 24


class Progress:
    """A line that is rewritten: the part of the file, and records so far. Use it as a context."""

    def __init__(self, descriptor: int, name: str, out: TextIO | None = None) -> None:
        self._descriptor, self._name, self._out = descriptor, name, out or sys.stderr
        about = os.fstat(descriptor)
        self._size = about.st_size if stat.S_ISREG(about.st_mode) else 0
        self._shown = self._out.isatty()
        self._records = 0
        self._due = time.monotonic() + EVERY_S

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shown:
            self._out.write("\r\033[K")
            self._out.flush()

    def count(self) -> None:
        """Counts one more record."""
        self._records += 1
        self.refresh()

    def refresh(self) -> None:
        """Rewrites the line if it is due."""
        if self._shown and time.monotonic() >= self._due:
            self._due = time.monotonic() + EVERY_S
            self._out.write(f"\r\033[K{self.line()}")
            self._out.flush()

    def line(self) -> str:
        """The current text of the line."""
        counted = f"{self._records:,} records"
        if not self._size:
            return f"{self._name}: {counted}"
        part = min(1.0, os.lseek(self._descriptor, 0, os.SEEK_CUR) / self._size)
        bar = "#" * int(part * WIDTH)
        return f"{self._name}: [{bar:<{WIDTH}}] {part:4.0%}  {counted}"
