"""What of its specification each operation was exercised in, by caller: counters that outlive samples.

They count what was stored when the API's specifications last changed, and everything since.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlite_utils import Database

EVERYONE = 0
MAX_CALLERS = 500  # of all kinds, of one operation; the rest counts for everyone only

Parts = tuple[str, ...]
Callers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Covered:
    """What one exchange adds."""

    operation: int
    callers: Callers
    parts: Parts


class CoverageCounters:
    """The writer's view: parts of one piece of work, summed in memory and written at once."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._sums: Counter[tuple[int, Callers, Parts]] = Counter()
        self._callers: dict[int, set[int]] = {}
        rows = self._db.conn.execute("SELECT DISTINCT operation, consumer FROM coverage WHERE consumer <> 0")
        for operation, consumer in rows:
            self._callers.setdefault(operation, set()).add(consumer)

    def add(self, one: Covered, sign: int = 1) -> None:
        """Adds an exchange's parts; `sign` -1 takes back what was added of it before."""
        self._sums[one.operation, self._bounded(one.operation, one.callers), one.parts] += sign

    def _bounded(self, operation: int, callers: Callers) -> Callers:
        known = self._callers.setdefault(operation, set())
        if not known.issuperset(callers):
            known.update([one for one in callers if one not in known][: MAX_CALLERS - len(known)])
            callers = tuple(one for one in callers if one in known)
        return callers

    def flush(self) -> None:
        """Writes the sums; a counter that came down to zero is removed."""
        rows: Counter[tuple[int, int, str]] = Counter()
        for (operation, callers, parts), count in self._sums.items():
            for caller in (EVERYONE, *callers) if count else ():
                for part in parts:
                    rows[operation, caller, part] += count
        self._sums.clear()
        many = self._db.conn.executemany
        many(
            """INSERT INTO coverage (operation, consumer, part, count) VALUES (?, ?, ?, ?)
            ON CONFLICT DO UPDATE SET count = count + excluded.count""",
            [(*at, count) for at, count in rows.items() if count],
        )
        many(
            "DELETE FROM coverage WHERE operation = ? AND consumer = ? AND part = ? AND count <= 0",
            [at for at, count in rows.items() if count < 0],
        )

    def reset(self, api: int) -> None:
        """An API's specifications are about to change: what is stored of it will be counted anew."""
        self._db.conn.execute(
            "DELETE FROM coverage WHERE operation IN (SELECT number FROM operations WHERE api = ?)", (api,)
        )
        self.forget()
