"""Reads from a connection in bounded time, so that a slow sender does not occupy a thread."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RD, socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class TimedReader(io.RawIOBase):
    """Bytes of `connection`. A read raises TimeoutError once the allowed time is over."""

    def __init__(self, connection: socket, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._until = clock()
        self._is_cut = False

    def readable(self) -> bool:
        return True

    def allow(self, seconds: float) -> None:
        """Allows this much time from now on."""
        self._until = self._clock() + seconds

    def extend(self, seconds: float) -> None:
        """Adds to the allowed time."""
        self._until += seconds

    @property
    def left(self) -> float:
        """Seconds of the allowed time that are left."""
        return self._until - self._clock()

    def cut(self) -> None:
        """Ends the current read and all further ones with TimeoutError; from any thread."""
        self._is_cut = True
        with suppress(OSError):  # it is closed
            self._connection.shutdown(SHUT_RD)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        left = self.left
        if left <= 0 or self._is_cut:
            raise TimeoutError
        self._connection.settimeout(left)
        size = self._connection.recv_into(buffer)
        if not size and self._is_cut:
            raise TimeoutError
        return size
