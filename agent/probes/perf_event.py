"""Programs attached by perf events: to tracepoints, kernel functions and places of files.

By perf_event_open(2) and include/uapi/linux/perf_event.h. All raise OSError; closing the returned descriptor
detaches.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import re
import struct
from functools import cache
from pathlib import Path

from agent.probes.bpf_call import LIBC, NO_SYSCALL

NUMBER = {"x86_64": 298, "aarch64": 241}  # of the system call
ATTR_BYTES = 112  # PERF_ATTR_SIZE_VER5
TRACEPOINT = 2  # PERF_TYPE_TRACEPOINT
RAW, EACH = 1 << 10, 1  # PERF_SAMPLE_RAW; sample_period
EVERY_TASK, FIRST_CPU, ALONE, CLOSE_ON_EXEC = -1, 0, -1, 8
SET_PROGRAM, ENABLE = 0x40042408, 0x2400  # PERF_EVENT_IOC_
TRACEFS = Path("/sys/kernel/tracing")
SOURCES = Path("/sys/bus/event_source/devices")


def attach_tracepoint(name: str, program: int) -> int:
    """Attaches a program to a tracepoint, such as syscalls:sys_enter_read."""
    number = int((TRACEFS / "events" / name.replace(":", "/") / "id").read_text())
    return _attached(program, TRACEPOINT, config=number)


def attach_kprobe(function: str, program: int) -> int:
    """Attaches a program to the entry of a kernel function."""
    name = ctypes.create_string_buffer(function.encode())
    return _attached(program, _type("kprobe"), at=ctypes.addressof(name))


def attach_uprobe(path: bytes, offset: int, program: int, *, at_return: bool) -> int:
    """Attaches a program to a place of a file, or to the return of the function there."""
    name = ctypes.create_string_buffer(path)
    config = _return_flag() if at_return else 0
    return _attached(program, _type("uprobe"), config=config, at=ctypes.addressof(name), offset=offset)


def _attached(program: int, type_: int, *, config: int = 0, at: int = 0, offset: int = 0) -> int:
    attr = ctypes.create_string_buffer(ATTR_BYTES)
    struct.pack_into("<IIQQQ", attr, 0, type_, ATTR_BYTES, config, EACH, RAW)
    struct.pack_into("<IIQQ", attr, 48, 1, 0, at, offset)  # wakeup_events, bp_type, config1, config2
    event: int = LIBC.syscall(
        NUMBER.get(platform.machine(), NO_SYSCALL), attr, EVERY_TASK, FIRST_CPU, ALONE, CLOSE_ON_EXEC
    )
    if event < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        fcntl.ioctl(event, SET_PROGRAM, program)
        fcntl.ioctl(event, ENABLE, 0)
    except OSError:
        os.close(event)
        raise
    return event


@cache
def _type(source: str) -> int:
    return int((SOURCES / source / "type").read_text())


@cache
def _return_flag() -> int:
    """The bit that asks for the return, as in "config:0"."""
    found = re.search(r"config:(\d+)", (SOURCES / "uprobe/format/retprobe").read_text())
    return 1 << int(found[1]) if found else 1
