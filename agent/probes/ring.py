"""The ring buffer between kernel and agent, read by libbpf, which python3-bpfcc depends on."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

LIBRARY = "libbpf.so.1"
SAMPLE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class Ring:
    """Passes every event's bytes to `receive`, which returns whether it takes more in this turn. It must not
    raise: exceptions in a callback are swallowed. Raises OSError.
    """

    def __init__(self, descriptor: int, receive: Callable[[bytes], bool]) -> None:
        self._library = ctypes.CDLL(LIBRARY, use_errno=True)
        self._library.ring_buffer__new.restype = ctypes.c_void_p
        self._library.ring_buffer__new.argtypes = [ctypes.c_int, SAMPLE, ctypes.c_void_p, ctypes.c_void_p]
        self._library.ring_buffer__consume.argtypes = [ctypes.c_void_p]
        self._library.ring_buffer__free.argtypes = [ctypes.c_void_p]

        def copy(_context: int, data: int, size: int) -> int:
            return 0 if receive(ctypes.string_at(data, size)) else -1

        self._copy = SAMPLE(copy)  # as long as the library may call it
        self._ring = self._library.ring_buffer__new(descriptor, self._copy, None, None)
        if not self._ring:
            raise OSError(ctypes.get_errno(), "the ring buffer cannot be mapped")

    def consume(self) -> bool:
        """Passes what is there, without waiting. True if the receiver stopped it."""
        left: int = self._library.ring_buffer__consume(self._ring)
        return left < 0

    def close(self) -> None:
        """Unmaps it."""
        self._library.ring_buffer__free(self._ring)
        self._ring = None
