"""A limit to the time that connections take together, however slowly their other ends send.

A timeout of httpx is for one read: a head, a chunk's extension or a trailer that comes byte by byte never
reaches it, nor do endless interim answers. So a timer shuts the connections down.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

CONNECTED = "connection.connect_tcp.complete"


class TimeLimit:
    """Use it as a context around all that it limits. What a read has returned after its end may be cut."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(max(0.0, seconds), self._cut)
        self._timer.daemon = True

    def __enter__(self) -> TimeLimit:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()

    @property
    def left(self) -> float:
        """Seconds; not positive once it is over."""
        return self._ends_at - time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.left <= 0

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """Takes note of a new connection: give it as the "trace" of a request's extensions.

        A socket that is wrapped in TLS later is another object, so a duplicate is kept: it shuts down both.
        """
        if event != CONNECTED:
            return
        duplicate = info["return_value"].get_extra_info("socket").dup()
        with self._lock:
            self._sockets.append(duplicate)
        if self.is_over:
            self._cut()

    def _cut(self) -> None:
        with self._lock:
            for one in self._sockets:
                with suppress(OSError):  # it has ended already
                    one.shutdown(socket.SHUT_RDWR)
