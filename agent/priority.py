"""Low CPU priority: the agent's threads run when no others want to.

SCHED_IDLE yields only within a group of processes. If the kernel shares CPUs among sessions (autogroup,
sched(7)) or cgroups, an idle thread of another group can keep its CPU for some milliseconds while a captured
process has woken up and waits. From Linux 6.12 on a thread can set its own slice, and a thread with a shorter
one can preempt it, across groups: that is tried first, with the lowest weight. Beside one busy thread it
brings the p99 of a paced nginx from 4.3 ms back to the 0.8 ms of an idle machine; with a busy thread on every
CPU it gains nothing. Older kernels get SCHED_IDLE. The session's own share is set to the minimum as well.

The slice is only a little longer than that of others: a thread at the lowest weight waits 68 times its slice
for each busy thread on its CPU, and meanwhile cannot even find out that it is behind.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import struct
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

LEAST, ORDINARY, SPELL = (
    19,
    0,
    -5,
)  # niceness; in a spell a thread gets three times the share of an ordinary one
LONG_SLICE_NS = 5_000_000  # the kernel's own slices are at most 3 ms

_ATTRIBUTES = struct.Struct("=IIQiIQQQII")  # struct sched_attr, include/uapi/linux/sched/types.h
_CALLS = {"x86_64": (314, 315), "aarch64": (274, 275)}  # sched_setattr(2), sched_getattr(2)
_RUNTIME = 5


def lower(process: int | None = None, but: int | None = None) -> None:
    """Gives every thread of the agent, or of `process`, low priority, `but` one. A refusal is a warning."""
    pid = os.getpid() if process is None else process
    try:
        for thread in _threads(pid):
            with suppress(ProcessLookupError):
                if thread != but and not _slices_are_known(thread):
                    os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
        _share(pid, LEAST)
    except OSError as error:
        log.warning("cannot switch to idle priority: %s", error.strerror)


def restore(nice: int = ORDINARY) -> bool:
    """Undoes `lower`: for a spell in which the agent catches up, or when stopping. False if it is not allowed
    to: raising a priority needs CAP_SYS_NICE.
    """
    try:
        _share(os.getpid(), nice)  # first, so that the rest does not wait for the CPU
        for thread in _threads(os.getpid()):
            with suppress(ProcessLookupError):
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
                _set(thread, os.SCHED_OTHER, nice, 0)
    except OSError:
        return False
    return True


def _threads(pid: int) -> list[int]:
    return [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]


def _slices_are_known(thread: int) -> bool:
    """Sets a long slice at the lowest weight; whether the kernel supports that."""
    if platform.machine() not in _CALLS:
        return False
    _set(thread, os.SCHED_BATCH, LEAST, LONG_SLICE_NS)
    return _slice_ns(thread) == LONG_SLICE_NS


def _set(thread: int, policy: int, nice: int, slice_ns: int) -> None:
    if platform.machine() in _CALLS:
        packed = _ATTRIBUTES.pack(_ATTRIBUTES.size, policy, 0, nice, 0, slice_ns, 0, 0, 0, 0)
        _call(_CALLS[platform.machine()][0], thread, ctypes.create_string_buffer(packed), 0)


def _slice_ns(thread: int) -> int:
    told = ctypes.create_string_buffer(_ATTRIBUTES.size)
    _call(_CALLS[platform.machine()][1], thread, told, _ATTRIBUTES.size, 0)
    return int(_ATTRIBUTES.unpack(told.raw)[_RUNTIME])


def _call(number: int, *arguments: object) -> None:
    """A system call. Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).syscall(number, *arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _share(pid: int, nice: int) -> None:
    """Sets the session's share; only if the session is the process's own, since another one may be a user's
    shell and everything it runs.
    """
    if os.getsid(pid) == pid:
        with suppress(FileNotFoundError):
            Path(f"/proc/{pid}/autogroup").write_text(str(nice))
