"""Accepts batches of records, committed before they are acknowledged; and checks whether that works."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from server.ingest.accept import Acceptor
from server.ingest.decode import Delivery
from server.store.errors import Damaged
from server.store.store import Store

STUCK_S = 60.0  # at one piece of work; the longest are judging a few hundred exchanges, or one batch


class Intake:
    def __init__(self, store: Store, acceptor: Acceptor, clock: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._acceptor = acceptor
        self._clock = clock

    def accept(self, delivery: Delivery) -> Future[dict[str, int]]:
        """The number of records by Received (ingest/outcomes.py), once they are committed.

        Raises StoreUnavailable, and so may the future. The future raises KeyCollision for an
        exchange that is left out when this is done again.
        """
        now, at = self._clock(), time.monotonic()
        return self._store.write(
            lambda unit: self._acceptor.accept(delivery.delayed(self._clock() - now), now, at)
        )

    def why_stuck(self) -> str | None:
        """A sentence on why nothing is stored any more; None if the writer works. Does not wait."""
        busy_s = self._store.busy_s
        if busy_s <= STUCK_S:
            return None
        return f"the database's writer has made no progress for {int(busy_s)} s"

    def checks(self) -> Iterator[Future[None]]:
        """Futures to wait for in order: all succeed if the database accepts writes; after a failure, large
        writes are tried. It and the futures raise StoreUnavailable; for a damaged database until it is
        salvaged.
        """
        if self._store.damage is not None:
            raise Damaged(self._store.damage)
        if self._store.refused is None:
            yield self._store.write(lambda unit: unit.room.probe())
        else:
            yield self._store.write(lambda unit: unit.room.fill())
            yield self._store.write(lambda unit: unit.room.free())
