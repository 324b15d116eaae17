"""The few commands of bpf(2) that are used without BCC, by include/uapi/linux/bpf.h. All raise OSError."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

MAP_CREATE, OBJ_GET_INFO_BY_FD = 0, 15  # enum bpf_cmd
RING_BUFFER = 27  # BPF_MAP_TYPE_RINGBUF
NUMBER = {"x86_64": 321, "aarch64": 280}  # of the system call
NO_SYSCALL = -1
ATTR_BYTES = 128


def create_ring_buffer(size: int) -> int:
    """Creates a ring buffer of `size` bytes. Returns its descriptor."""
    return _call(MAP_CREATE, struct.pack("<4I", RING_BUFFER, 0, 0, size))


def read_info(descriptor: int, info: ctypes.Array[ctypes.c_char]) -> None:
    """Fills `info` with what the kernel says of a program; older kernels write less."""
    _call(OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", descriptor, len(info), ctypes.addressof(info)))


def _call(command: int, attributes: bytes) -> int:
    attr = ctypes.create_string_buffer(attributes, ATTR_BYTES)
    libc = ctypes.CDLL(None, use_errno=True)
    number = NUMBER.get(platform.machine(), NO_SYSCALL)
    result: int = libc.syscall(number, command, ctypes.byref(attr), ATTR_BYTES)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
