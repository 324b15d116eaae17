"""Ways to hang for ever, for the tests of programs that must notice it."""

from __future__ import annotations

import ctypes
import threading

_forever = threading.Lock()
_forever.acquire()


def in_a_lock(*_: object) -> None:
    _forever.acquire()


def in_c(*_: object) -> None:
    """Hangs in C, where no Python signal handler runs: locks a mutex twice."""
    mutex = ctypes.create_string_buffer(256)
    libc = ctypes.CDLL(None)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)
