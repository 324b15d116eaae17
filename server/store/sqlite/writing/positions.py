"""Positions of agents: the batches received (so that none counts twice), and both ledgers."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Mapping

from agent.wire import Batch
from server.store.sqlite.writing.starts import forget_starts
from server.store.values import DeliveredStart

log = logging.getLogger(__name__)

SEQS_KEPT = 1000  # a batch that arrives later than this many of its successors counts as a duplicate


class SqlitePositions:
    """Sequence numbers may have gaps (the agent dropped a batch) and may arrive out of order.

    A start's scope is the cluster that its batches name, '' if they name none. Of a start whose scope is ''
    the records may name a cluster; batches that name the same one belong to it, as over an upgrade.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._heard: set[tuple[str, str]] = set()

    def is_duplicate(self, batch: Batch) -> bool:
        starts = self._starts(batch)
        if any(batch.seq <= floor for floor in starts.values()):
            return True
        execute = self._db.execute
        for scope in starts:
            found = execute(
                "SELECT 1 FROM batches WHERE (agent, epoch, scope, seq) = (?, ?, ?, ?)",
                (batch.agent, batch.epoch, scope, batch.seq),
            )
            if found.fetchone() is not None:
                return True
        added = execute(
            "INSERT INTO batches (agent, epoch, scope, seq) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (batch.agent, batch.epoch, _scope(batch, starts), batch.seq),
        )
        return added.rowcount == 0

    def _starts(self, batch: Batch) -> dict[str, int]:
        """The floors of the starts that the batch may be of, by scope."""
        rows = self._db.execute(
            """SELECT scope, floor FROM epochs WHERE agent = ? AND epoch = ?
            AND (scope = ? OR scope = '' AND cluster = ?)""",
            (batch.agent, batch.epoch, batch.cluster or "", batch.cluster),
        )
        return dict(rows.fetchall())

    def record(self, batch: Batch, now: int) -> str | None:
        if (batch.agent, batch.epoch) not in self._heard:
            self._heard.add((batch.agent, batch.epoch))
            log.info("agent %r delivers", batch.agent)
        first = batch.records[0] if batch.records else batch.residents
        floor = max(0, batch.seq - SEQS_KEPT)
        scope = _scope(batch, self._starts(batch))
        execute = self._db.execute
        (cluster,) = execute(
            """INSERT INTO epochs
            (agent, epoch, floor, last_seq, ledger, watching, lag_ms, node, cluster, records, first_seen,
            last_seen, scope)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (agent, epoch, scope) DO UPDATE SET
                ledger = CASE WHEN excluded.last_seq >= last_seq THEN excluded.ledger ELSE ledger END,
                watching = CASE WHEN excluded.last_seq >= last_seq THEN excluded.watching ELSE watching END,
                lag_ms = CASE WHEN excluded.last_seq >= last_seq THEN excluded.lag_ms ELSE lag_ms END,
                floor = max(floor, excluded.floor), last_seq = max(last_seq, excluded.last_seq),
                node = coalesce(excluded.node, node), cluster = coalesce(cluster, excluded.cluster),
                records = records + excluded.records, last_seen = max(last_seen, excluded.last_seen)
            RETURNING cluster""",
            (
                batch.agent,
                batch.epoch,
                floor,
                batch.seq,
                json.dumps(batch.ledger),
                batch.capture.watching if batch.capture else None,
                batch.capture.lag_ms if batch.capture else None,
                first.node if first else None,
                batch.cluster or (first.cluster if first else None),
                len(batch.records),
                now,
                now,
                scope,
            ),
        ).fetchone()
        execute(
            "DELETE FROM batches WHERE agent = ? AND epoch = ? AND scope = ? AND seq <= ?",
            (batch.agent, batch.epoch, scope, floor),
        )
        return None if cluster is None else str(cluster)

    def delivered(self, since: int) -> list[DeliveredStart]:
        rows = self._db.execute(
            "SELECT cluster, agent, epoch, last_seen FROM epochs WHERE last_seen >= ? ORDER BY last_seen",
            (since,),
        )
        return [DeliveredStart(*row) for row in rows]

    def forget_starts(self, now: int) -> None:
        forget_starts(self._db, now)

    def count(self, buckets: Mapping[str, int], cluster: str | None = None) -> None:
        self._db.executemany(
            """INSERT INTO ledger (cluster, bucket, count) VALUES (?, ?, ?)
            ON CONFLICT (cluster, bucket) DO UPDATE SET count = ledger.count + excluded.count""",
            [(cluster or "", bucket, count) for bucket, count in buckets.items() if count],
        )


def _scope(batch: Batch, starts: Mapping[str, int]) -> str:
    """The scope of the start that the batch is stored with, given those that it may be of."""
    own = batch.cluster or ""
    return own if own in starts or not starts else next(iter(starts))
