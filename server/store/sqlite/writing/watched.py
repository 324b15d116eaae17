"""Addresses that agents watch: the other view of a call with such an address may arrive."""

from __future__ import annotations

import sqlite3

from server.store.values import HOUR_NS

MAX_WATCHED = 50_000
KEPT_HOURS = 48  # since an address was last reported: an agent may be offline for a day


class SqliteWatched:
    """Mirrored in memory; a row has the hour in which an address was last reported."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        self._hours: dict[str, int] = dict(self._db.execute("SELECT address, hour FROM watched"))

    def record(self, address: str, now: int) -> None:
        hour = now // HOUR_NS
        known = self._hours.get(address)
        if known == hour or (known is None and len(self._hours) >= MAX_WATCHED):
            return
        self._hours[address] = hour
        self._db.execute(
            "INSERT INTO watched VALUES (?, ?) ON CONFLICT (address) DO UPDATE SET hour = excluded.hour",
            (address, hour),
        )

    def may_have(self, address: str) -> bool:
        return address in self._hours or len(self._hours) >= MAX_WATCHED

    def expire(self, now: int) -> None:
        if self._db.execute("DELETE FROM watched WHERE hour < ?", (now // HOUR_NS - KEPT_HOURS,)).rowcount:
            self.forget()
