"""The commands of bpf(2) that the agent uses, by include/uapi/linux/bpf.h. All raise OSError."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence

MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, MAP_NEXT_KEY, PROG_LOAD = range(6)  # enum bpf_cmd
OBJ_GET_INFO_BY_FD, RAW_TRACEPOINT_OPEN, LINK_CREATE = 15, 17, 28
RING_BUFFER = 27  # BPF_MAP_TYPE_RINGBUF
KPROBE, TRACEPOINT, RAW_TRACEPOINT = 2, 5, 17  # BPF_PROG_TYPE_
UPROBE_MULTI = 48  # BPF_TRACE_UPROBE_MULTI, of Linux 6.6
AT_RETURN = 1  # BPF_F_UPROBE_MULTI_RETURN
NOTHING = bytes.fromhex("b7000000000000009500000000000000")  # r0 = 0; exit
NUMBER = {"x86_64": 321, "aarch64": 280}  # of the system call
NO_SYSCALL = -1
ATTR_BYTES = 128
MAP_INFO = struct.Struct("<5I")  # of bpf_map_info: type, id, key_size, value_size, max_entries

LIBC = ctypes.CDLL(None, use_errno=True)


def create_ring_buffer(size: int) -> int:
    """Creates a ring buffer of `size` bytes. Returns its descriptor."""
    return _call(MAP_CREATE, struct.pack("<4I", RING_BUFFER, 0, 0, size))


def read_info(descriptor: int, info: ctypes.Array[ctypes.c_char]) -> None:
    """Fills `info` with what the kernel says of a program or map; older kernels write less."""
    _call(OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", descriptor, len(info), ctypes.addressof(info)))


def sizes(table: int) -> tuple[int, int]:
    """Bytes of a map's keys and values."""
    info = ctypes.create_string_buffer(MAP_INFO.size)
    read_info(table, info)
    _, _, key, value, _ = MAP_INFO.unpack(info)
    return key, value


def lookup(table: int, key: bytes, value: ctypes.Array[ctypes.c_char]) -> bool:
    """Fills `value` with that of a key. False if there is none."""
    return _of_key(MAP_LOOKUP, table, key, ctypes.addressof(value))


def update(table: int, key: bytes, value: bytes) -> None:
    """Writes the value of a key."""
    written = ctypes.create_string_buffer(value, len(value))
    _of_key(MAP_UPDATE, table, key, ctypes.addressof(written))


def delete(table: int, key: bytes) -> bool:
    """Removes a key. False if there is none."""
    return _of_key(MAP_DELETE, table, key, 0)


def next_key(table: int, key: bytes | None, following: ctypes.Array[ctypes.c_char]) -> bool:
    """Fills `following` with the key after this one, or with the first. False if there is none."""
    return _of_key(MAP_NEXT_KEY, table, key, ctypes.addressof(following))


def open_raw_tracepoint(name: bytes, program: int) -> int:
    """Attaches a program to a raw tracepoint until the returned descriptor is closed."""
    text = ctypes.create_string_buffer(name)
    return _call(RAW_TRACEPOINT_OPEN, struct.pack("<QI", ctypes.addressof(text), program))


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


def _of_key(command: int, table: int, key: bytes | None, value_at: int) -> bool:
    held = None if key is None else ctypes.create_string_buffer(key, len(key))
    key_at = 0 if held is None else ctypes.addressof(held)
    try:
        _call(command, struct.pack("<IIQQQ", table, 0, key_at, value_at, 0))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    return True


def _call(command: int, attributes: bytes) -> int:
    attr = ctypes.create_string_buffer(attributes, ATTR_BYTES)
    number = NUMBER.get(platform.machine(), NO_SYSCALL)
    result: int = LIBC.syscall(number, command, ctypes.byref(attr), ATTR_BYTES)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
