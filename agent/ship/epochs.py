"""The agent's starts that the spool knows, each with its ledger, so that no count ends with its process.

An epoch is one start. What becomes of it:

state              event                     next
-----------------  ------------------------  ------------------------------------------------------------
running (our own)  end                       ended; gone if the server has its ledger and nothing waits
running (our own)  the process is killed     killed, as the next start finds it
killed             the next start watches    ended, with Stops.KILLED and the blind time in its ledger
ended, not empty   its last record settled   ended, empty
ended, empty       its ledger is sent        gone

Only an epoch that is ended and empty has a last word: nothing more comes to be known of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from agent.ledger import Exchanges, Stops
from agent.ship.parcel import LedgerMap

MOST_EPOCHS = 1000  # whose last words wait; a crash every minute for more than half a day goes beyond
MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Epoch:
    """One start of an agent. `records` of it wait on disk; `at` is its ledger's wall time in ns."""

    agent: str
    next_seq: int
    ledger: LedgerMap
    at: int
    ended: bool
    records: int = 0

    def counted(self, counts: Mapping[str, int]) -> Epoch:
        """With these exchanges gone from the disk into its ledger."""
        exchanges = Counter(self.ledger.get("exchanges", {}))
        exchanges.update(counts)
        gone = sum(counts.values())
        return replace(self, ledger={**self.ledger, "exchanges": exchanges}, records=self.records - gone)

    def cut_off(self, now: int) -> Epoch:
        """As its successor has it once that watches: killed, and nothing is known since its last entry."""
        if self.ended:
            return self
        stops = self.ledger.get("stops", {})  # what was blind before it
        blind = stops.get(Stops.BLIND_MS, 0) + max(0, now - self.at) // MS
        return replace(
            self, ended=True, ledger={**self.ledger, "stops": {Stops.KILLED: 1, Stops.BLIND_MS: blind}}
        )

    def moved(self) -> Epoch:
        """As another server is to hear of it: only what it gets."""
        stops = {part: counts for part, counts in self.ledger.items() if part == "stops"}
        return replace(self, ledger={**stops, "exchanges": {Exchanges.PARSED: self.records}})


class Epochs:
    """All epochs by name, `own` among them, and which of them the disk does not know as they are."""

    def __init__(self, own: str, mine: Epoch, past: Mapping[str, Epoch]) -> None:
        empty = [name for name, epoch in past.items() if not epoch.records]
        self._own = own
        self.gone = set(empty[:-MOST_EPOCHS])
        self._all = {name: epoch for name, epoch in past.items() if name not in self.gone}
        self.changed = set(self._all)
        self._all[own] = mine

    @property
    def own(self) -> Epoch:
        return self._all[self._own]

    @property
    def records(self) -> int:
        """Records that wait on disk, of all."""
        return sum(epoch.records for epoch in self._all.values())

    @property
    def has_past(self) -> bool:
        """Whether something of earlier starts is still to be sent."""
        return len(self._all) > 1

    def __contains__(self, name: str) -> bool:
        return name in self._all

    def __getitem__(self, name: str) -> Epoch:
        return self._all[name]

    def as_map(self) -> dict[str, Epoch]:
        return dict(self._all)

    def committed(self, written: Mapping[str, Epoch]) -> None:
        """The disk has these like this, and all others as they are."""
        self._all.update(written)
        self.changed.clear()
        self.gone.clear()

    def change(self, name: str, epoch: Epoch) -> None:
        """The disk is to know it like this, with the next transaction."""
        self._all[name] = epoch
        self.changed.add(name)

    def forget(self, name: str) -> None:
        """All is said of it."""
        self._all.pop(name, None)
        self.changed.discard(name)
        self.gone.add(name)

    def watched(self, now: int) -> None:
        """Since `now` (wall ns) someone watches again: the blind time of those that were killed ends."""
        for name in [name for name in self._past() if not self._all[name].ended]:
            self.change(name, self._all[name].cut_off(now))

    def latest_end(self, stopped: int | None) -> int | None:
        """`stopped` (wall ns) if no start was killed since, whose own ledger has the blind time."""
        killed = [self._all[name].at for name in self._past() if not self._all[name].ended]
        return None if stopped is None or any(at >= stopped for at in killed) else stopped

    def move(self) -> None:
        """To another server, which hears only of those it gets something of."""
        for name in list(self._empty_past()):
            self.forget(name)
        for name in self._past():
            self._all[name] = self._all[name].moved()

    def last_words(self) -> Iterator[str]:
        """Of which earlier starts the ledger can be sent."""
        return (name for name in self._empty_past() if self._all[name].ended)

    def _past(self) -> list[str]:
        return [name for name in self._all if name != self._own]

    def _empty_past(self) -> Iterator[str]:
        return (name for name in self._past() if not self._all[name].records)
