"""Login sessions of the pages: random ids in memory, so that browsers never store the token itself.

A restart of the server ends all sessions.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

COOKIE = "spectap_session"
MAX_SESSIONS = 1000  # beyond it the oldest ends
LASTS_S = 12 * 3600


class Sessions:
    """Thread-safe. `clock` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(self) -> str:
        """Starts a session and returns its id, for the cookie."""
        id = secrets.token_urlsafe(32)
        with self._lock:
            while len(self._ends) >= MAX_SESSIONS:
                del self._ends[next(iter(self._ends))]
            self._ends[id] = self._clock() + LASTS_S
        return id

    def holds(self, id: str | None) -> bool:
        """Whether this session exists and has not ended."""
        with self._lock:
            return id is not None and self._clock() < self._ends.get(id, 0)

    def end(self, id: str | None) -> None:
        """Ends the session, if it exists."""
        with self._lock:
            self._ends.pop(id or "", None)
