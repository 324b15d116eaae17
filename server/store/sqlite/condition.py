"""Known faults of the database: refused writes, damage, unreadable rows."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter

from server.store.errors import CURE, Damaged, StoreUnavailable
from server.store.parts import StoredPart
from server.store.refusals import Refusals
from server.store.sqlite.failures import reason, unavailable

log = logging.getLogger(__name__)


class Condition:
    """Any thread may set `damage` and read both attributes; the rest belongs to the writer's thread."""

    def __init__(self) -> None:
        self._refusals = Refusals()
        self.damage: str | None = None  # set until the database is salvaged
        self.unreadable_rows: Counter[StoredPart] = Counter()

    @property
    def refusal(self) -> str | None:
        """Why the last write was refused; None if it succeeded."""
        return self._refusals.reason

    def stored(self) -> None:
        """Records that a write was committed."""
        self._refusals.stored()

    def refused(self, error: Exception) -> None:
        self._refusals.refused(reason(error) if isinstance(error, sqlite3.Error) else str(error))

    def failure_of(self, error: sqlite3.Error) -> StoreUnavailable:
        """Translates an error for the rest of the server. Damage is recorded, and logged once."""
        found = unavailable(error)
        if isinstance(found, Damaged) and self.damage is None:
            log.error("%s", found)
            self.damage = str(found)
        return found

    def unreadable(self, part: StoredPart) -> None:
        """Records that an unreadable row was left out; logged once for each part."""
        self.unreadable_rows[part] += 1
        if self.unreadable_rows[part] == 1:
            log.error("an unreadable row of %s is left out: %s", part, CURE)

    def translated(self, error: Exception) -> Exception:
        return self.failure_of(error) if isinstance(error, sqlite3.Error) else error
