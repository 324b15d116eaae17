"""Specifications and their uploaded documents."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from server.store.keys import id_of
from server.store.parts import StoredPart
from server.store.rows import Cursor, Listed, SpecDocument, SpecRow
from server.store.sqlite.reading.conditions import Conditions
from server.store.sqlite.reading.readable import END, SPARE, Readable, piece, texts
from server.store.values import MAX_TITLE

ROW = "SELECT number, id, api, host, base_path, title, version, warnings, uploaded FROM specs"
DOCUMENT = "SELECT * FROM specs"
IN_CLUSTER = "EXISTS (SELECT 1 FROM apis WHERE apis.number = specs.api AND cluster = ?)"


class SqliteSpecsReader:
    def __init__(self, db: sqlite3.Connection, readable: Readable) -> None:
        self._db = db
        self._readable = readable

    def listed(self, limit: int, after: Cursor | None, cluster: str | None = None) -> Listed[SpecRow]:
        where = Conditions()
        where.add(IN_CLUSTER, cluster)
        rows = self._db.execute(
            f"{ROW} WHERE number < ? AND {where} ORDER BY number DESC LIMIT ?",
            (after[1] if after else END, *where.values, limit + SPARE),
        )
        return piece(
            self._readable.each(StoredPart.SPECIFICATIONS, rows, _row),
            limit,
            lambda one: (one.uploaded, one.number),
        )

    def of_api(self, api: int) -> Sequence[SpecDocument]:
        rows = self._db.execute(f"{DOCUMENT} WHERE api = ? ORDER BY number DESC", (api,))
        return [*self._readable.each(StoredPart.SPECIFICATIONS, rows, _document)]

    def one(self, id: str) -> SpecDocument | None:
        row = self._db.execute(f"{DOCUMENT} WHERE id = ?", (id,)).fetchone()
        return self._readable.one(StoredPart.SPECIFICATIONS, row, _document)


def _row(row: sqlite3.Row) -> SpecRow:
    return SpecRow(
        number=row["number"],
        id=row["id"],
        api=id_of(row["api"]),
        host=row["host"],
        base_path=row["base_path"],
        title=row["title"][:MAX_TITLE],
        version=row["version"][:MAX_TITLE],
        uploaded=row["uploaded"],
        warnings=texts(row["warnings"]),
    )


def _document(row: sqlite3.Row) -> SpecDocument:
    return SpecDocument(_row(row), row["raw"])
