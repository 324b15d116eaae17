"""Reads a table with unreadable pages.

If the first column of the key is a number, reading continues at the next readable number; otherwise from the
table's end backwards.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Value = int | float | str | bytes | None
Row = tuple[Value, ...]

END = 2**63 - 1
TYPES: Mapping[str, type] = {"INTEGER": int, "INT": int, "TEXT": str, "BLOB": bytes}


@dataclass(frozen=True, slots=True)
class ScannedTable:
    """A table's columns with their types and whether they may be null, and the key to read by."""

    name: str
    columns: tuple[str, ...]
    types: tuple[tuple[type, bool], ...]
    key: tuple[str, ...]

    @classmethod
    def of(cls, db: sqlite3.Connection, name: str) -> ScannedTable:
        columns, types, keys = [], [], []
        (bare,) = db.execute("SELECT wr FROM pragma_table_list(?)", (name,)).fetchone()
        for column, kind, required, place in db.execute(
            'SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (name,)
        ):
            columns.append(f'"{column}"')
            types.append((TYPES[kind], not (required or place)))
            if place:
                keys.append((place, f'"{column}"'))
        key = tuple(column for _, column in sorted(keys)) if bare else ("rowid",)
        return cls(name, tuple(columns), tuple(types), key)

    def within(self, old: sqlite3.Connection, new: sqlite3.Connection) -> ScannedTable:
        """The same without the columns that only the new table has and that have a value by default."""
        query = 'SELECT name, dflt_value IS NOT NULL OR NOT "notnull" FROM pragma_table_info(?)'
        try:
            there = {name.decode() for name, _ in old.execute(query, (self.name,))}
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return self
        if not there:  # it has no such table
            return self
        added = {
            f'"{name}"' for name, spare in new.execute(query, (self.name,)) if spare and name not in there
        }
        kept = [place for place, column in enumerate(self.columns) if column not in added]
        columns, types = tuple(self.columns[n] for n in kept), tuple(self.types[n] for n in kept)
        return ScannedTable(self.name, columns, types, tuple(one for one in self.key if one not in added))

    @property
    def numbered(self) -> bool:
        """Whether the key begins with a number."""
        first = self.key[0]
        return first == "rowid" or self.types[self.columns.index(first)][0] is int


class Scan:
    """The readable rows of a damaged table; `damaged` says whether some were skipped."""

    def __init__(self, db: sqlite3.Connection, table: ScannedTable) -> None:
        self._db, self._table = db, table
        self._key = ", ".join(table.key)
        self._columns = ", ".join((*table.key, *table.columns))
        self.damaged = False

    def __iter__(self) -> Iterator[Row]:
        where: str = "1"
        values: Row = ()
        while True:
            last: Row | None = None
            try:
                for row in self._from(where, values):
                    last = row[: len(self._table.key)]
                    yield row[len(self._table.key) :]
                return
            except sqlite3.DatabaseError:
                self.damaged = True
            if not self._table.numbered:
                yield from self._backwards()
                return
            start = self._number(last, values)
            following = self._readable_from(start)
            if following is None:
                return
            where, values = f"{self._table.key[0]} >= ?", (following,)

    def _number(self, last: Row | None, values: Row) -> int:
        """The number at which reading failed, or a smaller one."""
        for known in (last, values):
            if known and isinstance(known[0], int):
                return known[0]
        return -1

    def _from(self, where: str, values: Row, order: str = "ASC") -> Iterator[Row]:
        by = ", ".join(f"{column} {order}" for column in self._table.key)
        query = f"SELECT {self._columns} FROM {self._table.name} WHERE {where} ORDER BY {by}"
        yield from self._db.execute(query, values)

    def _readable_from(self, failed: int) -> int | None:
        """The lowest number above `number` from which a row can be read."""
        if failed == END:
            return None
        step = 1
        while not self._reads(failed + step):
            if failed + step == END:
                return None
            step = min(step * 2, END - failed)
        low, high = failed + step // 2, failed + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._reads(middle) else (middle, high)
        return high

    def _reads(self, number: int) -> bool:
        try:
            next(self._from(f"{self._table.key[0]} >= ?", (number,)), None)
        except sqlite3.DatabaseError:
            return False
        return True

    def _backwards(self) -> Iterator[Row]:
        try:
            for row in self._from("1", (), "DESC"):
                yield row[len(self._table.key) :]
        except sqlite3.DatabaseError:
            return


def total(db: sqlite3.Connection, table: str) -> int | None:
    """The number of rows, counted over any of the table's trees that is readable in full."""
    trees = [""]
    try:
        rows = db.execute("SELECT name FROM pragma_index_list(?) WHERE NOT partial", (table,)).fetchall()
        trees += [f'INDEXED BY "{name.decode()}"' for (name,) in rows]
    except sqlite3.DatabaseError:
        pass
    for tree in trees:  # count(*) would choose the tree itself
        try:
            return int(db.execute(f"SELECT sum(1) FROM {table} {tree}").fetchone()[0] or 0)
        except sqlite3.DatabaseError:
            continue
    return None
