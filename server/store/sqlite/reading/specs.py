"""Specifications as they were uploaded."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from server.store.parts import StoredPart
from server.store.rows import Cursor, Listed, SpecDocument, SpecRow
from server.store.sqlite.reading.readable import END, SPARE, Readable, piece, texts
from server.store.values import MAX_TITLE

SPEC = """SELECT specs.number, specs.id, apis.id AS api, specs.host, specs.base_path, specs.title,
    specs.version, specs.warnings, specs.uploaded{raw} FROM specs JOIN apis ON apis.number = specs.api"""
ROW, DOCUMENT = SPEC.format(raw=""), SPEC.format(raw=", specs.raw")


class SqliteSpecsReader:
    def __init__(self, db: sqlite3.Connection, readable: Readable) -> None:
        self._db = db
        self._readable = readable

    def listed(self, limit: int, after: Cursor | None) -> Listed[SpecRow]:
        rows = self._db.execute(
            f"{ROW} WHERE specs.number < ? ORDER BY specs.number DESC LIMIT ?",
            (after[1] if after else END, limit + SPARE),
        )
        return piece(
            self._readable.each(StoredPart.SPECIFICATIONS, rows, _row),
            limit,
            lambda one: (one.uploaded, one.number),
        )

    def of_api(self, api: int) -> Sequence[SpecDocument]:
        rows = self._db.execute(f"{DOCUMENT} WHERE specs.api = ? ORDER BY specs.number DESC", (api,))
        return [*self._readable.each(StoredPart.SPECIFICATIONS, rows, _document)]

    def one(self, id: str) -> SpecDocument | None:
        row = self._db.execute(f"{DOCUMENT} WHERE specs.id = ?", (id,)).fetchone()
        return self._readable.one(StoredPart.SPECIFICATIONS, row, _document)


def _row(row: sqlite3.Row) -> SpecRow:
    return SpecRow(
        number=row["number"],
        id=row["id"],
        api=row["api"],
        host=row["host"],
        base_path=row["base_path"],
        title=row["title"][:MAX_TITLE],
        version=row["version"][:MAX_TITLE],
        uploaded=row["uploaded"],
        warnings=texts(row["warnings"]),
    )


def _document(row: sqlite3.Row) -> SpecDocument:
    return SpecDocument(_row(row), row["raw"])
