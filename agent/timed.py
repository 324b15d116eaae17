"""Reads from a connection in bounded time, so that a slow sender does not occupy a thread."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from socket import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class TimedReader(io.RawIOBase):
    """Bytes of `connection`. A read raises TimeoutError once the allowed time is over."""

    def __init__(self, connection: socket, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._until = clock()

    def readable(self) -> bool:
        return True

    def allow(self, seconds: float) -> None:
        """Allows this much time from now on."""
        self._until = self._clock() + seconds

    def extend(self, seconds: float) -> None:
        """Adds to the allowed time."""
        self._until += seconds

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        left = self._until - self._clock()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)
