"""The agent's starts recorded in the spool, each with its ledger, so that no count is lost with its process.

An epoch is one start. Its states:

state              event                     next
-----------------  ------------------------  ------------------------------------------------------------
running (our own)  end                       ended; gone if the server has its ledger and nothing waits
running (our own)  the process is killed     killed, as the next start finds it
killed             the next start watches    ended, with Stops.KILLED and the blind time in its ledger
ended, not empty   its last record settled   ended, empty
ended, empty       its ledger is sent        gone

Only an epoch that is ended and empty has final counts, which are sent as its final ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from agent.ledger import Exchanges, Stops
from agent.ship.parcel import LedgerMap

MOST_EPOCHS = 1000  # at most, with unsent final ledgers; a crash every minute for 16 hours
MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Epoch:
    """One start of an agent. `records` counts those of it on disk; `at` is the ledger's time, wall clock in
    ns.
    """

    agent: str
    next_seq: int
    ledger: LedgerMap
    at: int
    ended: bool
    records: int = 0

    def with_counts(self, counts: Mapping[str, int]) -> Epoch:
        """A copy in which these exchanges have moved from the disk to the ledger."""
        exchanges = Counter(self.ledger.get("exchanges", {}))
        exchanges.update(counts)
        gone = sum(counts.values())
        return replace(self, ledger={**self.ledger, "exchanges": exchanges}, records=self.records - gone)

    def as_killed(self, now: int) -> Epoch:
        """A copy marked killed, with the blind time from its last entry until the next start captures."""
        if self.ended:
            return self
        stops = self.ledger.get("stops", {})  # what was blind before it
        blind = stops.get(Stops.BLIND_MS, 0) + max(0, now - self.at) // MS
        return replace(
            self, ended=True, ledger={**self.ledger, "stops": {Stops.KILLED: 1, Stops.BLIND_MS: blind}}
        )

    def for_new_server(self) -> Epoch:
        """A copy for another server, with only the counts of what that server gets."""
        stops = {part: counts for part, counts in self.ledger.items() if part == "stops"}
        return replace(self, ledger={**stops, "exchanges": {Exchanges.PARSED: self.records}})


class Epochs:
    """All epochs by name, including `own`, and those that have changed since they were written to disk."""

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
        """Records on disk, of all epochs."""
        return sum(epoch.records for epoch in self._all.values())

    @property
    def has_earlier_starts(self) -> bool:
        """Whether records or final ledgers of earlier starts are unsent."""
        return len(self._all) > 1

    def __contains__(self, name: str) -> bool:
        return name in self._all

    def __getitem__(self, name: str) -> Epoch:
        return self._all[name]

    def as_map(self) -> dict[str, Epoch]:
        return dict(self._all)

    def mark_written(self, written: Mapping[str, Epoch]) -> None:
        """Marks these epochs as written; all others were written before."""
        self._all.update(written)
        self.changed.clear()
        self.gone.clear()

    def change(self, name: str, epoch: Epoch) -> None:
        """Changes an epoch, to be written with the next transaction."""
        self._all[name] = epoch
        self.changed.add(name)

    def remove(self, name: str) -> None:
        """Removes an epoch whose final ledger was sent."""
        self._all.pop(name, None)
        self.changed.discard(name)
        self.gone.add(name)

    def end_blind_time(self, now: int) -> None:
        """Ends the blind time of killed starts: capture works since `now` (wall clock in ns)."""
        for name in [name for name in self._earlier() if not self._all[name].ended]:
            self.change(name, self._all[name].as_killed(now))

    def latest_end(self, stopped: int | None) -> int | None:
        """`stopped` (wall ns) if no start was killed since, whose own ledger has the blind time."""
        killed = [self._all[name].at for name in self._earlier() if not self._all[name].ended]
        return None if stopped is None or any(at >= stopped for at in killed) else stopped

    def move_to_new_server(self) -> None:
        """Moves to another server, which gets only epochs with records for it."""
        for name in list(self._emptied()):
            self.remove(name)
        for name in self._earlier():
            self._all[name] = self._all[name].for_new_server()

    def final_ledgers(self) -> Iterator[str]:
        """The earlier starts whose ledgers are final and can be sent."""
        return (name for name in self._emptied() if self._all[name].ended)

    def _earlier(self) -> list[str]:
        return [name for name in self._all if name != self._own]

    def _emptied(self) -> Iterator[str]:
        return (name for name in self._earlier() if not self._all[name].records)
