"""Coverage of each operation by consumer: counters that outlive the exchanges.

They count the exchanges stored when the API's specifications last changed, and all since. An exchange
exercises dozens of parts, for everyone and for each of its consumers. One row per count took more time than
the rest of coverage, so all counts of an operation and a consumer share a row: a JSON object by part number.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable

from server.store.values import Covered

EVERYONE = 0
MAX_CONSUMERS = 500  # of all kinds, per operation; further ones count for everyone only

Parts = tuple[str, ...]
Consumers = tuple[int, ...]


_packed = json.JSONEncoder(separators=(",", ":")).encode


def _unpacked(counts: str) -> dict[str, int]:
    """Counts by part number; empty if the row is damaged and not JSON."""
    try:
        found: dict[str, int] = json.loads(counts)
    except ValueError:
        return {}
    return found


class SqliteCoverageTally:
    """Sums parts in memory; `flush` writes them at once. The consumers of operations and the numbers of parts
    are mirrored.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        execute = self._db.execute
        self._sums: Counter[tuple[int, Consumers, Parts]] = Counter()
        self._consumers: dict[int, set[int]] = {}
        for operation, consumer in execute("SELECT operation, consumer FROM coverage WHERE consumer <> 0"):
            self._consumers.setdefault(operation, set()).add(consumer)
        rows = execute("SELECT name, number FROM parts")
        self._numbers: dict[str, str] = {name: str(number) for name, number in rows}

    def add(self, one: Covered, sign: int = 1) -> None:
        self._sums[one.operation, self._bounded(one.operation, one.consumers), one.parts] += sign

    def _bounded(self, operation: int, consumers: Consumers) -> Consumers:
        known = self._consumers.setdefault(operation, set())
        if not known.issuperset(consumers):
            known.update([one for one in consumers if one not in known][: MAX_CONSUMERS - len(known)])
            consumers = tuple(one for one in consumers if one in known)
        return consumers

    def flush(self) -> None:
        added: dict[tuple[int, int], dict[str, int]] = {}
        for (operation, consumers, parts), count in self._sums.items():
            numbers = self._numbered(parts) if count else ()
            for consumer in (EVERYONE, *consumers) if count else ():
                counts = added.setdefault((operation, consumer), {})
                for number in numbers:
                    counts[number] = counts.get(number, 0) + count
        self._sums.clear()
        counted = [(*at, self._counted(at, counts)) for at, counts in added.items()]
        self._db.executemany(
            """INSERT INTO coverage VALUES (?, ?, ?)
            ON CONFLICT (operation, consumer) DO UPDATE SET counts = excluded.counts""",
            [(operation, consumer, _packed(counts)) for operation, consumer, counts in counted if counts],
        )
        self._db.executemany(
            "DELETE FROM coverage WHERE operation = ? AND consumer = ?",
            [(operation, consumer) for operation, consumer, counts in counted if not counts],
        )

    def _numbered(self, parts: Iterable[str]) -> list[str]:
        numbers = self._numbers
        return [numbers.get(part) or self._number(part) for part in parts]

    def _number(self, part: str) -> str:
        query = "INSERT INTO parts (name) VALUES (?) RETURNING number"
        number = self._numbers[part] = str(self._db.execute(query, (part,)).fetchone()[0])
        return number

    def _counted(self, at: tuple[int, int], added: dict[str, int]) -> dict[str, int]:
        """The stored counts plus the added ones, without zeros."""
        query = "SELECT counts FROM coverage WHERE operation = ? AND consumer = ?"
        row = self._db.execute(query, at).fetchone()
        counts = _unpacked(row[0]) if row else {}
        for number, count in added.items():
            counts[number] = counts.get(number, 0) + count
        return {number: count for number, count in counts.items() if count > 0}

    def reset(self, api: int) -> None:
        self._db.execute(
            "DELETE FROM coverage WHERE operation IN (SELECT number FROM operations WHERE api = ?)", (api,)
        )
        self.forget()


def move_coverage(db: sqlite3.Connection, source: int, target: int) -> None:
    """Adds the counts of one operation to another, and removes the first."""
    db.execute(
        """INSERT INTO coverage SELECT ?2, consumer, json_group_object(key, count) FROM (
            SELECT consumer, each.key AS key, sum(each.value) AS count
            FROM coverage JOIN json_each(coverage.counts) AS each
            WHERE operation IN (?1, ?2) GROUP BY consumer, each.key)
        WHERE true GROUP BY consumer
        ON CONFLICT (operation, consumer) DO UPDATE SET counts = excluded.counts""",
        (source, target),
    )
    db.execute("DELETE FROM coverage WHERE operation = ?", (source,))
