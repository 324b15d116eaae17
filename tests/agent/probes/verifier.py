"""Asks the kernel's verifier about a program, through bpf(2)."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import struct

PROG_LOAD, KPROBE, LOG_STATS = 5, 2, 4  # include/uapi/linux/bpf.h: bpf_cmd, bpf_prog_type; bpf_verifier.h
SYSCALL_NUMBER = {"x86_64": 321, "aarch64": 280}
ATTR_BYTES, ATTACH_TYPE_AT = 128, 68


def stack_depths(code: bytes, attach_type: int) -> list[int]:
    """Bytes of stack of each function of a kprobe program. Raises OSError if the program is rejected.

    `attach_type` is bpf_attr's expected_attach_type: it must be that of the other programs with the same
    array for tail calls.
    """
    instructions = ctypes.create_string_buffer(code, len(code))
    license_ = ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(1 << 16)
    attr = ctypes.create_string_buffer(ATTR_BYTES)
    at, license_at, log_at = (ctypes.addressof(buffer) for buffer in (instructions, license_, log))
    struct.pack_into("<IIQQIIQ", attr, 0, KPROBE, len(code) // 8, at, license_at, LOG_STATS, len(log), log_at)
    struct.pack_into("<I", attr, ATTACH_TYPE_AT, max(attach_type, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    program = libc.syscall(SYSCALL_NUMBER[platform.machine()], PROG_LOAD, ctypes.byref(attr), ATTR_BYTES)
    if program < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.close(program)
    found = re.search(rb"^stack depth (\S+)$", log.value, re.MULTILINE)
    assert found, log.value
    return [int(depth) for depth in found[1].split(b"+")]
