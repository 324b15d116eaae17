"""Resolves names within a time: getaddrinfo(3) has no timeout, and a hanging resolver would hold its caller.

Each name is resolved on a thread of its own, which ends with the resolver's answer, also if nobody waits for
it any more. Their number is bounded: beyond it no name is resolved.
"""

from __future__ import annotations

import socket
import threading
from queue import Empty, SimpleQueue

MOST = 16  # names that are resolved at once, given up or not
_free = threading.BoundedSemaphore(MOST)


class NotInTime(Exception):
    """The resolver did not answer in time, or too many names wait for it."""


def addresses(host: bytes, port: int, seconds: float) -> list[str]:
    """The addresses of a host, each once, in the resolver's order. Raises NotInTime, and OSError where there
    are none.
    """
    if not _free.acquire(blocking=False):
        raise NotInTime
    answer: SimpleQueue[list[str] | Exception] = SimpleQueue()
    try:
        threading.Thread(target=_resolve, args=(host, port, answer), name="resolving", daemon=True).start()
    except RuntimeError:  # no thread can be started
        _free.release()
        raise NotInTime from None
    try:
        found = answer.get(timeout=max(0.0, seconds))
    except Empty:
        raise NotInTime from None
    if isinstance(found, Exception):
        raise found
    return found


def _resolve(host: bytes, port: int, answer: SimpleQueue[list[str] | Exception]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        result: list[str] | Exception = list(dict.fromkeys(str(address[0]) for *_, address in found))
    except Exception as error:  # raised where it is waited for
        result = error
    _free.release()
    answer.put(result)
