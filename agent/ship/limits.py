"""The bounds of shipping: every size, count and wait of this package by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShipLimits:
    """In bytes, counts and seconds."""

    queue_bytes: int = 32 * 1024 * 1024  # in memory
    batch_records: int = 500
    batch_bytes: int = 1024 * 1024  # unpacked
    keep_s: float = 0.1  # no record waits longer to be written to the spool
    keep_again_s: float = 10.0  # a spool that could not be written is tried again this often
    flush_s: float = 0.3  # the first record of a batch waits no longer for others
    heartbeat_s: float = 10.0  # an empty batch this often, so that the ledger arrives on an idle machine
    retry_first_s: float = 0.2
    retry_most_s: float = 15.0
    retry_slow_s: float = 30.0  # where a person has to change something first
    connect_s: float = 3.0
    answer_s: float = 10.0
    answer_bytes: int = 64 * 1024
    say_after_s: float = 3.0  # what passes by itself sooner is not worth a line
    say_again_s: float = 60.0  # the same trouble is logged no more often
