"""The eBPF programs loaded in the kernel, from bpf(2), since not every host has a tool for it."""

from __future__ import annotations

import ctypes
import errno
import os
import platform

BPF_PROG_GET_NEXT_ID = 11  # include/uapi/linux/bpf.h, enum bpf_cmd
SYSCALL_NUMBER = {"x86_64": 321, "aarch64": 280}  # of bpf(2)


class _NextId(ctypes.Structure):
    """The part of `union bpf_attr` that the GET_NEXT_ID commands use."""

    _fields_ = [
        ("start_id", ctypes.c_uint32),
        ("next_id", ctypes.c_uint32),
        ("open_flags", ctypes.c_uint32),
        ("padding", ctypes.c_uint32 * 29),
    ]


def loaded() -> frozenset[int]:
    """The ids of all programs loaded now. Raises OSError without the permission to list them."""
    libc = ctypes.CDLL(None, use_errno=True)
    number, found, last = SYSCALL_NUMBER[platform.machine()], set(), 0
    while True:
        ask = _NextId(start_id=last)
        if libc.syscall(number, BPF_PROG_GET_NEXT_ID, ctypes.byref(ask), ctypes.sizeof(ask)) == 0:
            last = ask.next_id
            found.add(last)
        elif ctypes.get_errno() == errno.ENOENT:
            return frozenset(found)
        else:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
