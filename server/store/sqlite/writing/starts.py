"""Starts of agents that are over: what is still needed of them, so that restarts do not fill the database.

| last delivery | what is kept |
|---|---|
| up to a day ago | all |
| up to 30 days ago | its row: a batch up to the last one is a duplicate |
| earlier | its counts, in one row with those of the other earlier ones of its cluster |

Batches of one start are sent in order, so a day later none of those before the last one arrives for the first
time.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter

from agent.wire import balances
from server.store.sqlite.reading.readable import agent_ledger
from server.store.values import DAY_NS

BATCHES_DAYS = 1
STARTS_DAYS = 30
AT_ONCE = 10_000
EARLIER = "(earlier)"


def forget_starts(db: sqlite3.Connection, now: int) -> None:
    """Removes what is no longer needed of starts that are over."""
    _forget_batches(db, now - BATCHES_DAYS * DAY_NS)
    query = "SELECT number, ledger, cluster FROM epochs WHERE last_seen < ? AND agent <> ? LIMIT ?"
    groups: dict[tuple[str, str | None], list[int]] = {}
    found = db.execute(query, (now - STARTS_DAYS * DAY_NS, EARLIER, AT_ONCE)).fetchall()
    for number, ledger, cluster in found:
        if (group := _group(ledger)) is not None:
            groups.setdefault((group, cluster), []).append(number)
    for (group, cluster), numbers in groups.items():
        _combine(db, group, cluster, numbers)


def _forget_batches(db: sqlite3.Connection, before: int) -> None:
    db.execute("UPDATE epochs SET floor = last_seq WHERE last_seen < ?", (before,))
    db.execute(
        """DELETE FROM batches WHERE NOT EXISTS (SELECT 1 FROM epochs
        WHERE (epochs.agent, epochs.epoch, epochs.scope) = (batches.agent, batches.epoch, batches.scope)
        AND seq > floor)"""
    )


def _group(ledger: str) -> str | None:
    """Ledgers without a total cannot be balanced and stay apart; None if this one cannot be read."""
    try:
        complete = all(one.counted for one in balances(agent_ledger(ledger)))
    except ValueError:
        return None
    return EARLIER if complete else "(earlier, without totals)"


def _combine(db: sqlite3.Connection, group: str, cluster: str | None, numbers: list[int]) -> None:
    """Moves the counts of starts to the row of their group and cluster."""
    epoch = group if cluster is None else f"{group} of {cluster}"
    total: dict[str, Counter[str]] = {}
    places = ", ".join("?" * len(numbers))
    rows = f"FROM epochs WHERE number IN ({places}) OR (agent, epoch, scope) = (?, ?, '')"
    at = (*numbers, EARLIER, epoch)
    for (ledger,) in db.execute(f"SELECT ledger {rows}", at):
        for part, counts in agent_ledger(ledger).items():
            total.setdefault(part, Counter()).update(counts)
    records, first, last = db.execute(
        f"SELECT sum(records), min(first_seen), max(last_seen) {rows}", at
    ).fetchone()
    db.execute(f"DELETE {rows}", at)
    db.execute(
        """INSERT INTO epochs (agent, epoch, cluster, floor, last_seq, ledger, records, first_seen, last_seen)
        VALUES (?, ?, ?, 0, 0, ?, ?, ?, ?)""",
        (EARLIER, epoch, cluster, json.dumps(total), records, first, last),
    )
