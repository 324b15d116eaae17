"""Held views of one likeness, in order of their start, so that few of many equal calls are compared."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from math import inf

from server.analysis.clocks import SLACK_NS
from server.analysis.witnesses import View


class Likeness:
    """Views by number. `is_empty` once all were removed."""

    def __init__(self) -> None:
        self._starts: list[tuple[int, float]] = []  # with the number
        self._longest = 0  # ns; of all views so far

    @property
    def is_empty(self) -> bool:
        return not self._starts

    def add(self, view: View) -> None:
        insort(self._starts, (view.start, view.exchange))
        self._longest = max(self._longest, view.end - view.start)

    def remove(self, view: View) -> None:
        del self._starts[bisect_left(self._starts, (view.start, view.exchange))]

    def near(self, view: View) -> Sequence[int]:
        """The numbers of the views that may lie within a client's view, or around a server's, by start."""
        if view.side == "client":
            earliest, latest = view.start - SLACK_NS, view.end + SLACK_NS
        else:
            earliest, latest = view.start - self._longest - SLACK_NS, view.start + SLACK_NS
        first = bisect_left(self._starts, (earliest, -inf))
        last = bisect_right(self._starts, (latest, inf))
        return [int(number) for _, number in self._starts[first:last]]
