"""Agents, and the ledgers."""

from __future__ import annotations

import sqlite3
from collections import Counter

from server.store.parts import StoredPart
from server.store.rows import AgentLedger, AgentRow, CaptureRow, Cursor, Ledgers, Listed
from server.store.sqlite.reading.conditions import Conditions
from server.store.sqlite.reading.readable import NEWEST, SPARE, Readable, agent_ledger, piece


class SqliteFleet:
    def __init__(self, db: sqlite3.Connection, readable: Readable) -> None:
        self._db = db
        self._readable = readable

    def agents(
        self, limit: int, after: Cursor | None, cluster: str | None = None, node: str | None = None
    ) -> Listed[AgentRow]:
        where = Conditions()
        where.add("cluster = ?", cluster)
        where.add("node = ?", node)
        rows = self._db.execute(
            f"""SELECT * FROM epochs WHERE (last_seen, number) < (?, ?) AND {where}
            ORDER BY last_seen DESC, number DESC LIMIT ?""",
            (*(after or NEWEST), *where.values, limit + SPARE),
        )
        found = self._readable.each(StoredPart.AGENTS, rows, _agent)
        return piece(found, limit, lambda one: (one.last_seen, one.number))

    def captures(self, since: int, cluster: str | None = None) -> list[CaptureRow]:
        found: dict[tuple[str | None, str], CaptureRow] = {}
        where = Conditions()
        where.add("last_seen >= ?", since)
        where.add("cluster = ?", cluster)
        rows = self._db.execute(
            f"""SELECT agent, watching, lag_ms, last_seen, cluster FROM epochs WHERE {where}
            ORDER BY first_seen, number""",
            where.values,
        )
        for row in self._readable.each(StoredPart.AGENTS, rows, _capture):
            found.pop((None, row.agent), None)  # an earlier start, before it had a cluster
            found[row.cluster, row.agent] = row
        return [*found.values()]

    def ledgers(self, cluster: str | None = None) -> Ledgers:
        totals: dict[str, Counter[str]] = {}
        where = Conditions()
        where.add("cluster = ?", cluster)
        rows = self._db.execute(f"SELECT agent, ledger FROM epochs WHERE {where}", where.values)
        starts = [*self._readable.each(StoredPart.AGENTS, rows, _start)]
        for _, ledger in starts:
            for part, counts in ledger.items():
                totals.setdefault(part, Counter()).update(counts)
        records = self._db.execute(
            f"SELECT coalesce(sum(records), 0) FROM epochs WHERE {where}", where.values
        )
        server = self._db.execute(
            f"SELECT bucket, sum(count) FROM ledger WHERE {where} GROUP BY bucket", where.values
        )
        agents = {part: dict(counts) for part, counts in totals.items()}
        return Ledgers(agents, starts, int(records.fetchone()[0]), dict(server))


def _agent(row: sqlite3.Row) -> AgentRow:
    return AgentRow(
        number=row["number"],
        agent=row["agent"],
        epoch=row["epoch"],
        node=row["node"],
        cluster=row["cluster"],
        last_seq=row["last_seq"],
        records=row["records"],
        first_seen=row["first_seen"],
        last_seen=row["last_seen"],
        ledger=agent_ledger(row["ledger"]),
        watching=row["watching"],
        lag_ms=row["lag_ms"],
    )


def _capture(row: sqlite3.Row) -> CaptureRow:
    return CaptureRow(row["agent"], row["watching"], row["lag_ms"], row["last_seen"], row["cluster"])


def _start(row: sqlite3.Row) -> tuple[str, AgentLedger]:
    return row["agent"], agent_ledger(row["ledger"])
