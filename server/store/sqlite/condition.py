"""What is known to be wrong with the database: writes that it does not take, damage, unreadable rows."""

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
    """`damage` may be set, and both may be read, by any thread; the rest is the writer's."""

    def __init__(self) -> None:
        self._refusals = Refusals()
        self.damage: str | None = None  # stays until the database was salvaged
        self.unreadable_rows: Counter[StoredPart] = Counter()

    @property
    def refusal(self) -> str | None:
        """Why the last write was not taken; None where it was."""
        return self._refusals.reason

    def stored(self) -> None:
        """A write that changed something was committed."""
        self._refusals.stored()

    def refused(self, error: Exception) -> None:
        self._refusals.refused(reason(error) if isinstance(error, sqlite3.Error) else str(error))

    def met(self, error: sqlite3.Error) -> StoreUnavailable:
        """An error, as the rest of the server knows it; damage is remembered, and logged once."""
        found = unavailable(error)
        if isinstance(found, Damaged) and self.damage is None:
            log.error("%s", found)
            self.damage = str(found)
        return found

    def unreadable(self, part: StoredPart) -> None:
        """A row that cannot be read was left out; of each part that is logged once."""
        self.unreadable_rows[part] += 1
        if self.unreadable_rows[part] == 1:
            log.error("a stored row of %s cannot be read and is left out: %s", part, CURE)

    def translated(self, error: Exception) -> Exception:
        return self.met(error) if isinstance(error, sqlite3.Error) else error
