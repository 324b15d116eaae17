"""Ends the process within a fixed time after a signal to stop, even if something hangs.

Python runs signal handlers in the main thread, between two of its instructions: never while that thread waits
in a C function. So a separate thread reads signals from the file descriptor to which Python's C handler
writes their numbers (signal.set_wakeup_fd), and ends the process if it has not stopped in time.

server/deadline.py is the server's own: it may import nothing of the agent but the record, and it stops
otherwise (it can be told to end at once, and uvicorn runs its main thread).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

log = logging.getLogger(__name__)

STOP_S = 25.0  # from SIGTERM or SIGINT on; below the 30 s after which Kubernetes kills
EXIT_CUT = 1
LOG_S = 1.0  # to write the log, which may hang
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


class Deadline:
    """Use it as a context, in the main thread, around everything that may hang.

    `in_memory` returns how many records are lost with the process; `hurry` is called at the signal. Neither
    may wait.
    """

    def __init__(self) -> None:
        self.in_memory: Callable[[], int] = lambda: 0
        self.hurry: Callable[[], None] = lambda: None
        self._ends_at: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="deadline", daemon=True)

    def __enter__(self) -> Deadline:
        self._woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        self._before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._before)
        self._over.set()
        self._wake.close()
        self._thread.join()
        self._woken.close()

    @property
    def left(self) -> float:
        """Seconds until the process is ended; infinite before a signal."""
        return float("inf") if self._ends_at is None else self._ends_at - time.monotonic()

    def _watch(self) -> None:
        while numbers := self._woken.recv(64):  # empty once the other end is closed
            if not STOP_SIGNALS.isdisjoint(numbers):
                break
        else:
            return
        self._ends_at = time.monotonic() + STOP_S
        self.hurry()
        if not self._over.wait(STOP_S):
            self._end()

    def _end(self) -> None:
        writing = threading.Thread(target=self._log, daemon=True)
        writing.start()
        writing.join(LOG_S)
        os._exit(EXIT_CUT)

    def _log(self) -> None:
        log.error(
            "could not stop within %.0f s and ends now: %d records in memory are lost; %s",
            STOP_S,
            self.in_memory(),
            "; ".join(waiting_at()),
        )


def waiting_at() -> list[str]:
    """The current place of each thread, as "name at file:line"."""
    frames = sys._current_frames()
    return [
        f"{thread.name} at {frame.f_code.co_filename}:{frame.f_lineno} ({frame.f_code.co_name})"
        for thread in threading.enumerate()
        if thread.ident is not None and (frame := frames.get(thread.ident)) is not None
    ]
