"""Unreadable and skipped entries of a file: counted, and the first ones named."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

from agent.sources.content import ReadPart
from agent.sources.reported import Entry, FormatError, Skipped, UnreadableEntry

log = logging.getLogger(__name__)

MOST_NAMED = 20
"""Unreadable entries of one file that are named; all are counted."""


class Unread:
    """Those of the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = self._broken = 0
        self._skipped: Counter[str] = Counter()

    def count(self, one: Entry | ReadPart) -> None:
        """Counts one more entry."""
        if isinstance(one, Skipped):
            self._skipped[one.reason] += 1
        elif isinstance(one, UnreadableEntry):
            self._broken += 1
            if self._broken <= MOST_NAMED:
                log.warning("%s: %s: %s", self._path, one.place, one.reason)
        else:
            self._read += 1

    def report(self) -> None:
        """Reports at the file's end. Raises FormatError if nothing could be read: the file has another
        format.
        """
        if self._broken:
            if not self._read and not self._skipped:
                raise FormatError(f"{self._path}: none of its {self._broken} entries could be read")
            log.warning("%s: %d of its entries could not be read", self._path, self._broken)
        for reason, count in self._skipped.items():
            log.info("%s: %d left out: %s", self._path, count, reason)
