"""One request at a time through an io_uring: io_uring_setup(2), io_uring_register(2), io_uring_enter(2)."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

SETUP, ENTER, REGISTER = 425, 426, 427  # of all architectures
SEND, RECEIVE, SEND_ZERO_COPY = 26, 27, 47  # include/uapi/linux/io_uring.h
REGISTER_BUFFERS, FIXED_BUFFER, GET_EVENTS = 0, 1 << 2, 1
REQUESTS_AT = 0x10000000  # IORING_OFF_SQES
REQUEST = struct.Struct("<BBHiQQII24x")
RESULT = struct.Struct("<Qi4x")
LIBC = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    result: int = LIBC.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class Ring:
    """A ring for one request. Raises OSError where the kernel allows none."""

    def __init__(self) -> None:
        parameters = ctypes.create_string_buffer(120)
        self._fd = call(SETUP, 4, parameters)
        sent = struct.unpack_from("<7I", parameters.raw, 40)
        done = struct.unpack_from("<6I", parameters.raw, 80)
        self._tail, self._array = sent[1], sent[6]
        self._done_head, self._done_tail, self._done_mask, self._results = done[0], done[1], done[2], done[5]
        self._rings = mmap.mmap(self._fd, self._array + 64 + 4096)
        self._requests = mmap.mmap(self._fd, 4 * 64, offset=REQUESTS_AT)

    def close(self) -> None:
        self._rings.close()
        self._requests.close()
        os.close(self._fd)

    def register(self, buffer: ctypes.Array[ctypes.c_char]) -> None:
        """Makes it buffer 0: its pages are the kernel's to use."""
        vector = struct.pack("<QQ", ctypes.addressof(buffer), len(buffer))
        call(REGISTER, self._fd, REGISTER_BUFFERS, vector, 1)

    def request(self, operation: int, sock: int, buffer: ctypes.Array[ctypes.c_char], flags: int = 0) -> int:
        """The result of a request for this socket and buffer."""
        at = ctypes.addressof(buffer)
        self._requests[:64] = REQUEST.pack(operation, 0, flags, sock, 0, at, len(buffer), 0) + bytes(8)
        self._put(self._array + 4 * (self._get(self._tail) & 3), 0)
        self._put(self._tail, self._get(self._tail) + 1)
        call(ENTER, self._fd, 1, 1, GET_EVENTS, None, 0)
        head = self._get(self._done_head)
        _, result = RESULT.unpack_from(self._rings, self._results + 16 * (head & self._get(self._done_mask)))
        self._put(self._done_head, self._get(self._done_tail))
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return int(result)

    def _get(self, at: int) -> int:
        return int.from_bytes(self._rings[at : at + 4], "little")

    def _put(self, at: int, value: int) -> None:
        self._rings[at : at + 4] = (value & 0xFFFFFFFF).to_bytes(4, "little")


@contextmanager
def ring() -> Iterator[Ring]:
    made = Ring()
    try:
        yield made
    finally:
        made.close()


def send(sock: int, data: bytes, zero_copy: bool = False) -> None:
    """Sends by a plain request, or without copying from a registered buffer."""
    buffer = (ctypes.c_char * len(data)).from_buffer_copy(data)
    with ring() as one:
        if zero_copy:
            one.register(buffer)
            assert one.request(SEND_ZERO_COPY, sock, buffer, FIXED_BUFFER) == len(data)
        else:
            assert one.request(SEND, sock, buffer) == len(data)


def receive(sock: int, size: int) -> bytes:
    buffer = ctypes.create_string_buffer(size)
    with ring() as one:
        got = one.request(RECEIVE, sock, buffer)
    return buffer.raw[:got]
