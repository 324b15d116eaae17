"""Consumers, by kind and name."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence

from server.analysis.inventory import ConsumerKind
from server.store.keys import Numbered
from server.store.sqlite.reading.inventory import UNUSED
from server.store.sqlite.stand_ins import IS_CONSUMER
from server.store.sqlite.writing.numbering import insert_once

MAX_CONSUMERS = 2000  # of each kind; all further ones share a number
REPLACES_STAND_IN = f"UPDATE SET kind = excluded.kind, name = excluded.name WHERE {IS_CONSUMER}"


class SqliteConsumers:
    """Numbers are mirrored in memory."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._kept: Counter[str] = Counter()
        for number, kind, name in self._db.execute("SELECT number, kind, name FROM consumers"):
            self._numbers[kind, name] = number
            self._kept[kind] += 1

    def number(self, kind: ConsumerKind, name: str) -> int:
        known = self._numbers.get((kind, name))
        if known is not None:
            return known
        if self._kept[kind] >= MAX_CONSUMERS and kind is not ConsumerKind.OTHER:
            return self.number(ConsumerKind.OTHER, f"other {kind}")
        key = {"kind": kind, "name": name}
        number = insert_once(self._db, Numbered.CONSUMER, key, if_there=REPLACES_STAND_IN)
        self._numbers[kind, name] = number
        self._kept[kind] += 1
        return number

    def drop_unused(self, numbers: Sequence[int]) -> int:
        marks = ", ".join("?" * len(numbers))
        found = self._db.execute(
            f"DELETE FROM consumers WHERE number IN ({marks}) AND number IN ({UNUSED})", numbers
        )
        self.forget()
        return found.rowcount
