"""The few commands of bpf(2) that are used without BCC, by include/uapi/linux/bpf.h. All raise OSError."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Sequence

MAP_CREATE, PROG_LOAD, OBJ_GET_INFO_BY_FD, LINK_CREATE = 0, 5, 15, 28  # enum bpf_cmd
RING_BUFFER = 27  # BPF_MAP_TYPE_RINGBUF
KPROBE = 2  # BPF_PROG_TYPE_KPROBE
UPROBE_MULTI = 48  # BPF_TRACE_UPROBE_MULTI, of Linux 6.6
AT_RETURN = 1  # BPF_F_UPROBE_MULTI_RETURN
NOTHING = bytes.fromhex("b7000000000000009500000000000000")  # r0 = 0; exit
NUMBER = {"x86_64": 321, "aarch64": 280}  # of the system call
NO_SYSCALL = -1
ATTR_BYTES = 128


def create_ring_buffer(size: int) -> int:
    """Creates a ring buffer of `size` bytes. Returns its descriptor."""
    return _call(MAP_CREATE, struct.pack("<4I", RING_BUFFER, 0, 0, size))


def read_info(descriptor: int, info: ctypes.Array[ctypes.c_char]) -> None:
    """Fills `info` with what the kernel says of a program; older kernels write less."""
    _call(OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", descriptor, len(info), ctypes.addressof(info)))


def load_for_many_uprobes() -> int:
    """Loads a program that does nothing and may be attached by `attach_uprobes`. Returns its descriptor."""
    code, licence = ctypes.create_string_buffer(NOTHING, len(NOTHING)), ctypes.create_string_buffer(b"GPL")
    return _call(
        PROG_LOAD,
        struct.pack("<IIQQ", KPROBE, len(NOTHING) // 8, ctypes.addressof(code), ctypes.addressof(licence))
        + struct.pack("<IIQII16sII", 0, 0, 0, 0, 0, b"", 0, UPROBE_MULTI),
    )


def attach_uprobes(program: int, path: bytes, offsets: Sequence[int], at_return: bool) -> int:
    """Attaches a program to these places of a file at once. Returns the descriptor of the link, which
    detaches them when it is closed.
    """
    name, places = ctypes.create_string_buffer(path), struct.pack(f"<{len(offsets)}Q", *offsets)
    array = ctypes.create_string_buffer(places, len(places))
    return _call(
        LINK_CREATE,
        struct.pack("<4I", program, 0, UPROBE_MULTI, 0)
        + struct.pack("<4Q", ctypes.addressof(name), ctypes.addressof(array), 0, 0)
        + struct.pack("<3I", len(offsets), AT_RETURN if at_return else 0, 0),
    )


def _call(command: int, attributes: bytes) -> int:
    attr = ctypes.create_string_buffer(attributes, ATTR_BYTES)
    libc = ctypes.CDLL(None, use_errno=True)
    number = NUMBER.get(platform.machine(), NO_SYSCALL)
    result: int = libc.syscall(number, command, ctypes.byref(attr), ATTR_BYTES)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
