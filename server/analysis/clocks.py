"""How far the clocks of two nodes differ, learned from calls that both saw.

The server's view of a call begins not before the client's and ends not after it. So each call gives a range
that the difference lies in. The ranges of all calls are intersected: one slow download says little, many
short calls say all. A range that contradicts the others is noise at first; after STEPPED in a row that agree
with each other, a clock was set, and they replace what was known. Clocks drift, so ranges widen with time.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

SLACK_NS = 1_000_000  # reads and writes are timed at their return: they may seem later by this
SKEW_NS = 2_000_000_000  # clocks of two nodes differ by less
DRIFT = 50_000  # clocks drift apart by less than 1 in this (20 ppm)
NOISE_NS = 20_000_000  # a busy node may time an end later than it was, rarely by as much as this
TIGHT_NS = 20_000_000  # a difference known within this tells the calls of a connection apart
STEPPED = 3  # calls
MAX_CLOCKS = 2000  # pairs of nodes


class Range(NamedTuple):
    """A range of what the server's clock shows more than the client's, in ns."""

    least: int
    most: int

    def meets(self, other: Range) -> bool:
        return self.least <= other.most and other.least <= self.most

    def within(self, other: Range) -> Range:
        """Their intersection; they must meet."""
        return Range(max(self.least, other.least), min(self.most, other.most))

    def widened(self, by: int) -> Range:
        return Range(self.least - by, self.most + by)

    def reversed(self) -> Range:
        return Range(-self.most, -self.least)

    @property
    def middle(self) -> Range:
        """What the difference most likely is."""
        return Range((self.least + self.most) // 2, (self.least + self.most) // 2)

    @property
    def is_tight(self) -> bool:
        return self.most - self.least <= TIGHT_NS


ANY = Range(-SKEW_NS, SKEW_NS)


@dataclass(slots=True)
class _Difference:
    """`against` is the range of the last calls in a row that contradict `known`, `calls` their number."""

    known: Range
    time: int
    against: Range | None = None
    calls: int = 0

    def at(self, time: int) -> Range:
        drift = abs(time - self.time) // DRIFT
        return self.known.widened(drift) if drift else self.known

    def learn(self, call: Range, time: int) -> bool:
        known = self.at(time)
        if call.least <= known.least and known.most <= call.most:  # nothing new
            self.against, self.calls = None, 0
            return True
        if call.meets(known):
            self.known, self.time, self.against, self.calls = known.within(call), time, None, 0
            return True
        is_repeated = self.against is not None and call.meets(self.against)
        self.against = call.within(self.against) if self.against is not None and is_repeated else call
        self.calls = self.calls + 1 if is_repeated else 1
        if self.calls < STEPPED:
            return False
        self.known, self.time, self.against, self.calls = self.against, time, None, 0
        return True


class Clocks:
    """A clock has a name. Times are by either of the two clocks, in ns."""

    def __init__(self) -> None:
        self._differences: OrderedDict[tuple[str, str], _Difference] = OrderedDict()

    def known(self, client: str, server: str, time: int) -> Range | None:
        """What is known of their difference; None if nothing is."""
        is_reversed = client > server
        found = self._differences.get((server, client) if is_reversed else (client, server))
        if found is None:
            return None
        return found.at(time).reversed() if is_reversed else found.at(time)

    def learn(self, client: str, server: str, call: Range, time: int) -> bool:
        """Learns from one call. Returns whether it agrees with what is known now."""
        if client > server:
            client, server, call = server, client, call.reversed()
        found = self._differences.get((client, server))
        if found is not None:
            return found.learn(call, time)
        self._differences[client, server] = _Difference(call, time)
        if len(self._differences) > MAX_CLOCKS:
            self._differences.popitem(last=False)
        return True
