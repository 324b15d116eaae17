"""The hosts and paths under which workloads are reached, as clusters configure them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from server.store.values import HOUR_NS, HostRoute, RoutedWorkload

KEPT_HOURS = 2  # since they were last reported: the server does so every minute


class SqliteRoutes:
    """Nothing is kept in memory. Without a name, a cluster is ''."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def record(self, cluster: str | None, routes: Sequence[HostRoute], now: int) -> None:
        name, hour = cluster or "", now // HOUR_NS
        rows = {(one.host, one.path, one.source, one.namespace, one.workload, hour) for one in routes}
        columns = "host, path, source, namespace, workload, hour"
        stored = self._db.execute(f"SELECT {columns} FROM routes WHERE cluster = ?", (name,))
        if rows == set(map(tuple, stored)):
            return
        self._db.execute("DELETE FROM routes WHERE cluster = ?", (name,))
        self._db.executemany(
            f"INSERT INTO routes (cluster, {columns}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [(name, *row) for row in sorted(rows)],
        )

    def leading(self, host: str, path: str, cluster: str | None) -> RoutedWorkload | None:
        found = self._db.execute(
            """SELECT DISTINCT rtrim(path, '/') AS base, cluster, namespace, workload FROM routes
            WHERE host = ?1 AND (?3 IS NULL OR cluster = ?3)
            AND substr(rtrim(?2, '/') || '/', 1, length(rtrim(path, '/')) + 1) = rtrim(path, '/') || '/'
            ORDER BY length(base) DESC""",
            (host, path, cluster),
        ).fetchall()
        best = [row[1:] for row in found if row[0] == found[0][0]]
        return RoutedWorkload(best[0][0] or None, *best[0][1:]) if len(best) == 1 else None

    def expire(self, now: int) -> None:
        self._db.execute("DELETE FROM routes WHERE hour < ?", (now // HOUR_NS - KEPT_HOURS,))
