"""Ends the server within a fixed time after a signal to stop, even if something hangs.

| after SIGTERM or SIGINT | what happens |
|---|---|
| everything finishes in time | nothing: leaving the context ends the watch |
| `cut` is called: what hangs is given up | one line names what is not finished, and the process ends |
| STOP_S have passed | the same |

Python runs signal handlers in the main thread, between two of its instructions: never while that thread waits
in a C function. So a separate thread reads signals from the file descriptor to which Python's C handler
writes their numbers (signal.set_wakeup_fd), and ends the process.

agent/deadline.py is the agent's own: the server may import nothing of the agent but the record, and the agent
stops otherwise (it never gives up early, and hurries instead).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

log = logging.getLogger(__name__)

STOP_S = 20.0  # from SIGTERM or SIGINT on; below the 30 s after which Kubernetes kills
EXIT_CUT = 1
LOG_S = 1.0  # to write the log, which may hang
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})


class Deadline:
    """Use it as a context, in the main thread, around everything that may hang, once signals have handlers.

    `unfinished` names what is not finished, and must not wait.
    """

    def __init__(self, unfinished: Callable[[], Sequence[str]]) -> None:
        self._unfinished = unfinished
        self._ends_at: float | None = None
        self._is_clean = False
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
        self._is_clean = True
        self._end_watch()
        self._woken.close()

    @property
    def left(self) -> float:
        """Seconds until the process is ended; STOP_S before a signal."""
        return STOP_S if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())

    def cut(self) -> None:
        """Ends the process now, and logs what is not finished."""
        self._end_watch()

    def _end_watch(self) -> None:
        signal.set_wakeup_fd(self._before)
        self._over.set()
        self._wake.close()
        self._thread.join()

    def _watch(self) -> None:
        if self._is_asked_for():
            self._ends_at = time.monotonic() + STOP_S
            self._over.wait(STOP_S)
        if not self._is_clean:
            self._end()

    def _is_asked_for(self) -> bool:
        """Waits for a signal; False once the watch is to end."""
        while numbers := self._woken.recv(64):  # empty once the other end is closed
            if not STOP_SIGNALS.isdisjoint(numbers):
                return True
        return False

    def _end(self) -> None:
        writing = threading.Thread(target=self._log, daemon=True)
        writing.start()
        writing.join(LOG_S)
        os._exit(EXIT_CUT)

    def _log(self) -> None:
        log.error(
            "could not finish %s in the %.0f s that stopping may take; what was acknowledged is stored; %s",
            ", ".join(self._unfinished()) or "requests under way",
            STOP_S,
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
