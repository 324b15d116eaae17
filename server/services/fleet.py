"""The agents, what they capture and how far they are behind, and the ledgers of bytes and exchanges."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.wire import TOTALS, Balance, balances
from server.ingest.outcomes import Received
from server.services.freshness import KNOWN_S, Freshness, freshness
from server.services.narrowing import Cursor
from server.store.reader import Reader
from server.store.rows import AgentRow, Listed
from server.store.store import Store

MOST_NAMED = 100  # agents
DELIVERED = (Received.STORED, Received.WITNESS, Received.DUPLICATE)  # a repeated record counts once
RECEIVED = "received"
DELIVERY = "delivery"

Buckets = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class BalanceSum:
    """A total and the sum of its buckets: `open` is in no bucket yet, `ahead` exceeds the total. `left_out`
    are agents with a start whose total was not counted.
    """

    total: int
    settled: int
    open: int
    ahead: int
    left_out: Sequence[str] = ()

    @classmethod
    def of(cls, total: int, settled: int, left_out: Sequence[str] = ()) -> BalanceSum:
        return cls(total, settled, max(0, total - settled), max(0, settled - total), left_out)


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """Totals over all agents and starts, the server's outcomes of received records, the balances, and the
    largest lag in seconds.
    """

    agents: Mapping[str, Buckets]
    server: Buckets
    balance: Mapping[str, BalanceSum]
    lag_s: float | None


class Fleet:
    def __init__(self, store: Store, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._clock = clock

    def freshness(self) -> Freshness:
        """Which agents capture, how much, and how far they are behind."""
        with self._store.reading() as reader:
            return self._freshness(reader)

    def _freshness(self, reader: Reader, cluster: str | None = None) -> Freshness:
        now = self._clock()
        return freshness(reader.fleet.captures(now - round(KNOWN_S * 1e9), cluster), now)

    def agents(
        self, limit: int, after: Cursor | None, cluster: str | None = None, node: str | None = None
    ) -> Listed[AgentRow]:
        """Every start of every agent, the latest report first, each with its own ledger."""
        with self._store.reading() as reader:
            return reader.fleet.agents(limit, after, cluster, node)

    def ledger(self, cluster: str | None = None) -> LedgerReport:
        """Of all agents, or those of a cluster. What it delivered before outcomes were counted by cluster is
        RECEIVED.
        """
        with self._store.reading() as reader:
            found, lag_s = reader.fleet.ledgers(cluster), self._freshness(reader, cluster).lag_s
        seen = found.agents
        received = dict(found.server)
        earlier = found.records - sum(received.get(bucket, 0) for bucket in DELIVERED)
        if cluster is not None and earlier > 0:
            received[RECEIVED] = earlier
        parts = [(agent, one) for agent, ledger in found.starts for one in balances(ledger)]
        sums = {part: _sum([(agent, one) for agent, one in parts if one.part == part]) for part in TOTALS}
        delivered = sum(received.get(bucket, 0) for bucket in (*DELIVERED, RECEIVED))
        delivery = BalanceSum.of(seen.get("exchanges", {}).get("shipped", 0), delivered)
        return LedgerReport(seen, received, {**sums, DELIVERY: delivery}, lag_s)


def _sum(parts: Sequence[tuple[str, Balance]]) -> BalanceSum:
    counted = [one for _, one in parts if one.counted]
    left_out = sorted({agent for agent, one in parts if not one.counted})[:MOST_NAMED]
    return BalanceSum.of(sum(one.total for one in counted), sum(one.settled for one in counted), left_out)
