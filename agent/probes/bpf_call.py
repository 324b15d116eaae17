"""The commands of bpf(2) that the agent uses, by include/uapi/linux/bpf.h. All raise OSError."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

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
MAP_INFO = struct.Struct(
    "<6I16s"
)  # bpf_map_info: type, id, key_size, value_size, max_entries, map_flags, name
LONGEST_NAME = 15  # bytes of a program's or map's: BPF_OBJ_NAME_LEN without its end
LICENCE = ctypes.create_string_buffer(b"GPL")
LOG_BYTES = 1 << 20  # of the verifier
STATISTICS = ("processed ", "verification time ", "stack depth ", "max_states_per_insn ")
"""With which lines of the verifier's log begin that are not its reason."""
MOST_TRIES = 5  # as libbpf's: a signal interrupts the verifier

LIBC = ctypes.CDLL(None, use_errno=True)


class MapShape(NamedTuple):
    """What defines a map: its bpf_map_type, bytes of keys and values, its bound (of a ring buffer in bytes),
    and BPF_F_ flags. The name has LONGEST_NAME bytes at most.
    """

    name: str
    type: int
    key_bytes: int
    value_bytes: int
    entries: int
    flags: int = 0


def create_map(shape: MapShape) -> int:
    """Creates a map. Returns its descriptor."""
    _, *numbers = shape
    return _call(MAP_CREATE, struct.pack("<5IIi16s", *numbers, 0, 0, shape.name.encode()))


def shape_of(table: int) -> MapShape:
    """What defines this map."""
    info = ctypes.create_string_buffer(MAP_INFO.size)
    read_info(table, info)
    kind, _, key, value, entries, flags, name = MAP_INFO.unpack(info)
    return MapShape(name.rstrip(b"\0").decode(), kind, key, value, entries, flags)


def read_info(descriptor: int, info: ctypes.Array[ctypes.c_char]) -> None:
    """Fills `info` with what the kernel says of a program or map; older kernels write less."""
    _call(OBJ_GET_INFO_BY_FD, struct.pack("<IIQ", descriptor, len(info), ctypes.addressof(info)))


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


def load_program(kind: int, code: bytes, name: str = "", attach_type: int = 0) -> int:
    """Loads a program of this bpf_prog_type for an expected_attach_type. Returns its descriptor. The error of
    a program that the verifier refuses ends with its reason.
    """
    for _ in range(MOST_TRIES):
        try:
            return _load(kind, code, name, attach_type)
        except OSError as error:
            refusal = error
            if error.errno != errno.EAGAIN:
                break
    raise OSError(refusal.errno, _reason(kind, code, attach_type, str(refusal.strerror)))


def _reason(kind: int, code: bytes, attach_type: int, error: str) -> str:
    """The error with the last thing that the verifier says."""
    log = ctypes.create_string_buffer(LOG_BYTES)
    with suppress(OSError):
        os.close(_load(kind, code, "", attach_type, log))
    said = [line.decode(errors="replace") for line in log.value.splitlines()]
    return ": ".join([error, *[line for line in said if line and not line.startswith(STATISTICS)][-1:]])


def _load(
    kind: int, code: bytes, name: str, attach_type: int, log: ctypes.Array[ctypes.c_char] | None = None
) -> int:
    held = ctypes.create_string_buffer(code, len(code))
    logged = (0, 0, 0) if log is None else (1, len(log), ctypes.addressof(log))
    return _call(
        PROG_LOAD,
        struct.pack("<IIQQ", kind, len(code) // 8, ctypes.addressof(held), ctypes.addressof(LICENCE))
        + struct.pack("<IIQII16sII", *logged, 0, 0, name.encode()[:LONGEST_NAME], 0, attach_type),
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
