"""Tokens of clusters, by digest."""

from __future__ import annotations

import sqlite3


class SqliteTokens:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(self, id: str, name: str, role: str, cluster: str, digest: bytes, now: int) -> None:
        self._db.execute(
            "INSERT INTO tokens (id, name, role, cluster, digest, created) VALUES (?, ?, ?, ?, ?, ?)",
            (id, name, role, cluster, digest, now),
        )

    def rotate(self, id: str, digest: bytes, now: int, previous_until: int | None) -> bool:
        changed = self._db.execute(
            """UPDATE tokens SET previous = iif(?1 IS NULL, NULL, digest), previous_until = ?1, digest = ?2,
            rotated = ?3 WHERE id = ?4""",
            (previous_until, digest, now, id),
        )
        return changed.rowcount > 0

    def revoke(self, id: str) -> bool:
        return self._db.execute("DELETE FROM tokens WHERE id = ?", (id,)).rowcount > 0

    def record_use(self, id: str, now: int) -> None:
        self._db.execute(
            "UPDATE tokens SET last_used = max(coalesce(last_used, 0), ?) WHERE id = ?", (now, id)
        )

    def count(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM tokens").fetchone()[0])
