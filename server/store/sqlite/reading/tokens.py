"""Tokens of clusters. Only `known` reads digests."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from server.store.parts import StoredPart
from server.store.rows import Cursor, Listed
from server.store.sqlite.reading.conditions import Conditions
from server.store.sqlite.reading.readable import END, SPARE, Readable, piece
from server.store.tokens import KnownToken, TokenRow

ROW = "SELECT number, id, name, role, cluster, created, last_used, rotated, previous_until FROM tokens"
KNOWN = "SELECT id, cluster, digest, previous, previous_until FROM tokens"


class SqliteTokensReader:
    def __init__(self, db: sqlite3.Connection, readable: Readable) -> None:
        self._db = db
        self._readable = readable

    def listed(self, cluster: str | None, limit: int, after: Cursor | None) -> Listed[TokenRow]:
        where = Conditions()
        where.add("cluster = ?", cluster)
        rows = self._db.execute(
            f"{ROW} WHERE number < ? AND {where} ORDER BY number DESC LIMIT ?",
            (after[1] if after else END, *where.values, limit + SPARE),
        )
        found = self._readable.each(StoredPart.TOKENS, rows, _row)
        return piece(found, limit, lambda one: (one.created, one.number))

    def one(self, id: str) -> TokenRow | None:
        row = self._db.execute(f"{ROW} WHERE id = ?", (id,)).fetchone()
        return self._readable.one(StoredPart.TOKENS, row, _row)

    def named(self, name: str) -> TokenRow | None:
        row = self._db.execute(f"{ROW} WHERE name = ?", (name,)).fetchone()
        return self._readable.one(StoredPart.TOKENS, row, _row)

    def known(self) -> Sequence[KnownToken]:
        rows = self._db.execute(f"{KNOWN} ORDER BY number")
        return [*self._readable.each(StoredPart.TOKENS, rows, lambda row: KnownToken(*row))]


def _row(row: sqlite3.Row) -> TokenRow:
    return TokenRow(*row)
