"""What a batch's ledger says: which of its buckets are sums, which are losses, and whether they add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TOTALS = {"bytes": "seen", "exchanges": "parsed"}
"""The parts of a batch's ledger, each with the bucket that is the sum of the others."""
LOSSES = {
    "bytes": frozenset({"late", "ring_full", "table_full", "unread_at_exit", "stepped_down", "sampled_out"}),
    "exchanges": frozenset(
        {
            "redaction_failed",
            "packing_failed",
            "queue_full",
            "spool_full",
            "spool_expired",
            "spool_unreadable",
            "refused",
            "unsent_at_exit",
        }
    ),
}
"""The loss buckets of each part: bytes not parsed, or exchanges not stored, that should have been."""


def lost(ledger: Mapping[str, Mapping[str, int]], part: str) -> int:
    """The sum of the loss buckets in one part of a ledger."""
    counts = ledger.get(part, {})
    return sum(counts.get(bucket, 0) for bucket in LOSSES[part])


@dataclass(frozen=True, slots=True)
class Balance:
    """One part of a ledger. `total` was counted where bytes or exchanges entered, `settled` is the sum of the
    buckets; the difference is still in progress, or was when the agent was killed. If the total was not
    `counted` (by an agent of an earlier version), it is the sum of the buckets.
    """

    part: str
    total: int
    settled: int
    buckets: tuple[tuple[str, int], ...]  # largest first, without empty ones
    counted: bool

    @property
    def open(self) -> int:
        """The part in no bucket yet: 0 once a run has ended."""
        return self.total - self.settled

    def __str__(self) -> str:
        sum_of = " + ".join(f"{count:,} {bucket}" for bucket, count in self.buckets) or "0"
        end = f" + {self.open:,} in no bucket" if self.open else ", balanced"
        return f"{self.total:,} {self.part} {TOTALS[self.part]} = {sum_of}{end}"


def balances(ledger: Mapping[str, Mapping[str, int]]) -> tuple[Balance, ...]:
    """The balance of each part of one start's ledger."""
    return tuple(_balance(part, ledger.get(part, {}), total) for part, total in TOTALS.items())


def _balance(part: str, counts: Mapping[str, int], total: str) -> Balance:
    buckets = [(bucket, count) for bucket, count in counts.items() if bucket != total and count]
    settled = sum(count for _, count in buckets)
    ordered = tuple(sorted(buckets, key=lambda item: (-item[1], item[0])))
    return Balance(part, counts.get(total, settled), settled, ordered, total in counts or not settled)
