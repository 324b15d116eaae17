"""What became of records and of what they hold: the server's part of the ledger."""

from __future__ import annotations

from enum import StrEnum


class Received(StrEnum):
    """Where each record that arrived went."""

    STORED = "stored"  # the first view of an exchange
    WITNESS = "witness"  # the other view of an exchange
    DUPLICATE = "duplicate"  # this record was stored before
    DUPLICATE_BATCH = "duplicate_batch"  # of a batch that was stored before


class Left(StrEnum):
    """What was left out at ingest, the exchange itself being stored."""

    DEVIATIONS = "deviations_over_bound"  # or with the number of another
    ENGINE = "matching_failed"
    COVERAGE = "coverage_failed"
    COLLIDED = "id_collision"  # all of it: what it would be counted under has the number of something else
