"""The listening socket, and the limit of open files: running out of descriptors must not stop the server.

If no descriptor is free for a new connection, a spare one is released for a moment to accept and close it:
otherwise the kernel would report the connection again and again, each time with a log line.
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import socket
import time
from collections.abc import Callable
from typing import Any

from server.connections import CloseReason, Connections

log = logging.getLogger(__name__)

FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
BACKLOG = 256
SAY_EVERY_S = 60.0
REST_S = 0.05  # if not even the spare descriptor helps


class TlsSocket(socket.socket):
    """An accepted connection; closing it ends its handshake."""

    def __init__(self, accepted: socket.socket, connections: Connections) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, accepted.detach())
        self._connections = connections

    def close(self) -> None:
        self._connections.handshake_over(self.fileno())
        super().close()


class HttpListener(socket.socket):
    """A listening socket whose `accept` does not fail without free descriptors: it closes the connection.
    With `tls`, it counts connections before their handshake, for which asyncio has no other place.
    """

    clock: Callable[[], float] = time.monotonic

    def __init__(self, family: socket.AddressFamily, connections: Connections, tls: bool = False) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._tls = tls
        self._connections = connections
        self._spare = _spare()
        self._said_at: float | None = None
        self._unsaid = 0

    def listen(self, backlog: int = BACKLOG, /) -> None:
        """Sets the kernel's backlog independently of asyncio, which also uses the value as its number of
        accepts at once.
        """
        super().listen(max(backlog, BACKLOG))

    def accept(self) -> tuple[socket.socket, Any]:
        try:
            accepted, address = super().accept()
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._turn_away()
            self._log(error)
            raise BlockingIOError(errno.EAGAIN, "turned away") from None
        if self._tls:
            accepted = TlsSocket(accepted, self._connections)
            if not self._connections.handshake_begun(accepted):
                accepted.close()
                raise BlockingIOError(errno.EAGAIN, "turned away")
        return accepted, address

    def close(self) -> None:
        super().close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _turn_away(self) -> None:
        if self._spare is None:
            time.sleep(REST_S)
        else:
            os.close(self._spare)
            self._spare = None
            try:
                super().accept()[0].close()
                self._connections.closed[CloseReason.TURNED_AWAY] += 1
            except OSError:
                time.sleep(REST_S)
        self._spare = _spare()

    def _log(self, error: OSError) -> None:
        self._unsaid += 1
        now = self.clock()
        if self._said_at is None or now - self._said_at >= SAY_EVERY_S:
            log.error("%d connections were turned away: %s", self._unsaid, error.strerror)
            self._said_at, self._unsaid = now, 0


def _spare() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def bind(host: str, port: int, connections: Connections, tls: bool = False) -> HttpListener:
    """A listening socket. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, *_, address = found[0]
    listener = HttpListener(family, connections, tls)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def raise_descriptor_limit() -> int:
    """Raises the limit of open files to the maximum, and returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return soft
    return hard
