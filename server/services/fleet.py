"""The agents that deliver, and where every byte and exchange went."""

from __future__ import annotations

from server.services.listing import Listed, Row
from server.services.narrowing import Cursor
from server.store import agents
from server.store.database import Store


class Fleet:
    def __init__(self, store: Store) -> None:
        self._store = store

    def agents(self, limit: int, after: Cursor | None) -> Listed[Row]:
        """Every start of every agent, most recently heard of first, with its own ledger."""
        with self._store.reading() as db:
            return Listed.cut(agents.agents(db, limit + 1, after), limit)

    def ledger(self) -> Row:
        """Totals over all agents and starts, what they are of, and where the server put what it received."""
        with self._store.reading() as db:
            return agents.ledger(db)
