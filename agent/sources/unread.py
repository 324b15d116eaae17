"""Unreadable and skipped entries of a file, counted, and the first ones named; and a missing end."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from agent.sources.content import ReadPart
from agent.sources.reported import CutShort, Entry, FormatError, Skipped, UnreadableEntry

log = logging.getLogger(__name__)

MOST_NAMED = 20
"""Unreadable entries of one file that are named; all are counted."""


class Unread:
    """Those of the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = self._broken = 0
        self._cut: str | None = None
        self._skipped: Counter[str] = Counter()

    def count(self, one: Entry | ReadPart) -> None:
        """Counts one more entry."""
        if isinstance(one, Skipped):
            self._skipped[one.reason] += 1
        elif isinstance(one, CutShort):
            self._cut = one.place
        elif isinstance(one, UnreadableEntry):
            self._broken += 1
            if self._broken <= MOST_NAMED:
                log.warning("%s: %s: %s", self._path, one.place, one.reason)
        else:
            self._read += 1

    def report(self) -> None:
        """Reports at the file's end. Raises FormatError if nothing could be read, since the file has another
        format, and if its end is missing.
        """
        if self._broken:
            if not self._read and not self._skipped:
                raise FormatError(f"{self._path}: none of its {self._broken} entries could be read")
            log.warning("%s: %d of its entries could not be read", self._path, self._broken)
        for reason, count in self._skipped.items():
            log.info("%s: %d left out: %s", self._path, count, reason)
        if self._cut is not None:
            raise FormatError(
                f"{self._path}: cut off {self._cut}, its end is missing; {self._read:,} entries were read"
            )
