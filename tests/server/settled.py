"""Accepts batches and settles their views at once."""

from __future__ import annotations

from server.ingest.accept import Acceptor
from server.ingest.decode import Delivery
from server.ingest.holding import BACKLOG_S


def accept(acceptor: Acceptor, delivery: Delivery, now: int) -> dict[str, int]:
    """Accepts a batch and settles all views as if they had waited long enough; on the writer's thread."""
    counts = acceptor.accept(delivery, now, 0.0)
    acceptor.settle_due(now, BACKLOG_S)
    return counts
