"""The bounds of shipping: every size, count and wait of this package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShipLimits:
    """Bounds in bytes, counts and seconds."""

    queue_bytes: int = 32 * 1024 * 1024  # in memory
    batch_records: int = 500
    batch_bytes: int = 1024 * 1024  # unpacked
    keep_s: float = 0.1  # the longest wait of a record to be written to the spool
    keep_again_s: float = 10.0  # between attempts after the spool could not be written
    flush_s: float = 0.3  # the longest wait of a batch's first record for others
    heartbeat_s: float = 10.0  # between empty batches, so that the ledger arrives from an idle machine
    retry_first_s: float = 0.2
    retry_most_s: float = 15.0
    retry_slow_s: float = 30.0  # between attempts when the operator must change something
    connect_s: float = 3.0
    answer_s: float = 10.0
    answer_bytes: int = 64 * 1024
    say_after_s: float = 3.0  # a failure that ends sooner is not logged
    say_again_s: float = 60.0  # between log lines on the same failure
