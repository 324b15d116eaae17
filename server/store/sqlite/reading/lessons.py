"""Learned documents: states, published versions and decisions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence

import zstandard

from server.store.parts import StoredPart
from server.store.rows import Cursor, Listed, Publication, RebuiltDecision, VersionRow
from server.store.sqlite.reading.readable import (
    END,
    SPARE,
    Readable,
    json_object,
    json_objects,
    piece,
    unpacked,
)


class SqliteLessonsReader:
    def __init__(self, db: sqlite3.Connection, readable: Readable) -> None:
        self._db = db
        self._readable = readable

    def watermark(self) -> int:
        row = self._db.execute("SELECT watermark FROM learning").fetchone()
        return int(row[0]) if row else 0

    def rows_of(self, api: int) -> Collection[int]:
        rows = self._db.execute("SELECT number FROM learners WHERE api = ?", (api,))
        return {number for (number,) in rows}

    def state(self, row: int) -> bytes:
        found = self._db.execute("SELECT state FROM learners WHERE number = ?", (row,)).fetchone()
        try:
            return unpacked(found[0])
        except (TypeError, zstandard.ZstdError) as error:
            raise ValueError("not what was stored") from error

    def publication(self, api: int, version: str | None = None) -> Publication | None:
        rows = self._db.execute(
            """SELECT version, time, document, changes FROM rebuilt
            WHERE api = ? AND version = coalesce(?, version) ORDER BY number DESC""",
            (api, version),
        )
        return next(self._readable.each(StoredPart.VERSIONS, rows, _publication), None)

    def newest_version(self, api: int) -> str | None:
        row = self._db.execute(
            "SELECT version FROM rebuilt WHERE api = ? ORDER BY number DESC LIMIT 1", (api,)
        ).fetchone()
        return None if row is None else str(row[0])

    def versions(self, api: int, limit: int, after: Cursor | None) -> Listed[VersionRow]:
        rows = self._db.execute(
            """SELECT number, version, time, changes FROM rebuilt WHERE api = ? AND number < ?
            ORDER BY number DESC LIMIT ?""",
            (api, after[1] if after else END, limit + SPARE),
        )
        found = self._readable.each(StoredPart.VERSIONS, rows, _version)
        return piece(found, limit, lambda one: (one.time, one.number))

    def count(self, api: int) -> int:
        return int(self._db.execute("SELECT count(*) FROM rebuilt WHERE api = ?", (api,)).fetchone()[0])

    def decisions(self, api: int) -> Sequence[RebuiltDecision]:
        rows = self._db.execute(
            "SELECT number, time, decision FROM decisions WHERE api = ? ORDER BY number", (api,)
        )
        return [*self._readable.each(StoredPart.DECISIONS, rows, _decision)]


def _publication(row: sqlite3.Row) -> Publication:
    document = json.loads(unpacked(row["document"]))
    return Publication(row["version"], row["time"], document, json_objects(row["changes"]))


def _version(row: sqlite3.Row) -> VersionRow:
    return VersionRow(row["number"], row["version"], row["time"], json_objects(row["changes"]))


def _decision(row: sqlite3.Row) -> RebuiltDecision:
    return RebuiltDecision(row["number"], row["time"], json_object(row["decision"]))
