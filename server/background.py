"""A background thread of the server that works in turns and is woken by requests.

| after a turn | the next begins |
|---|---|
| AT_ONCE | at once: more work waits |
| WHEN_ASKED | when an API is requested, or after a period |
| LATER, or an exception | after a period, despite requests: something failed |

Requests of a failed turn are repeated. `stop` lets the current turn finish, and then runs `last` once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import Enum, auto

from server.failures import Failures

log = logging.getLogger(__name__)


class Pace(Enum):
    """When the next turn starts."""

    AT_ONCE = auto()
    WHEN_ASKED = auto()
    LATER = auto()


class BackgroundThread:
    """`turn` gets the numbers of the APIs requested since the last one; `period` is in seconds.

    The lock guards `_asked` and `stopping`; no turn runs under it.
    """

    def __init__(self, name: str, turn: Callable[[set[int]], Pace], period: float) -> None:
        self.period = period
        self.stopping = False
        self.name = name
        self._turn = turn
        self._asked: set[int] = set()
        self._wake = threading.Condition()
        self._failures = Failures(log)
        self._thread: threading.Thread | None = None

    def start(self, pace: Pace = Pace.WHEN_ASKED, last: Callable[[], object] | None = None) -> None:
        """Starts the thread; the first turn comes at this pace."""
        self._thread = threading.Thread(target=self._run, args=(pace, last), name=self.name, daemon=True)
        self._thread.start()

    def request(self, *apis: int) -> None:
        """Requests these APIs for the next turn; from any thread."""
        with self._wake:
            self._asked.update(apis)
            self._wake.notify()

    def ask_to_stop(self) -> None:
        """Prevents further turns; from any thread."""
        with self._wake:
            self.stopping = True
            self._wake.notify()

    def stop(self, seconds: float | None = None) -> None:
        """Returns once the current turn and `last` are done, or after the given seconds."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(seconds)

    @property
    def is_running(self) -> bool:
        """Whether the thread was started and has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def _run(self, pace: Pace, last: Callable[[], object] | None) -> None:
        while self._wait(pace):
            pace = self._take_turn()
        if last is not None:
            last()

    def _wait(self, pace: Pace) -> bool:
        """Waits for the next turn; False to stop."""
        with self._wake:
            if pace is Pace.WHEN_ASKED:
                self._wake.wait_for(lambda: self.stopping or self._asked, self.period)
            elif pace is Pace.LATER:
                self._wake.wait_for(lambda: self.stopping, self.period)
            return not self.stopping

    def _take_turn(self) -> Pace:
        with self._wake:
            asked, self._asked = self._asked, set()
        try:
            pace = self._turn(asked)
        except Exception as error:  # the next turn may succeed
            self._failures.record(self.name, f"{self.name}: trying again", error)
            self.request(*asked)
            return Pace.LATER
        self._failures.end(self.name)
        return pace
