"""Processes as /proc describes them. One may exit between two reads: absent is None, never an error."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from agent.cgroup import path_in
from agent.events import ProcessSeen

PROC = Path("/proc")
MAX_READ = 4 * 1024 * 1024
"""Bytes of one /proc file; a process can make its maps arbitrarily long."""


def pids(proc: Path = PROC) -> Iterator[int]:
    """The pids of all processes."""
    return (int(entry.name) for entry in os.scandir(proc) if entry.name.isdigit())


def read(pid: int, name: str, proc: Path = PROC) -> bytes | None:
    """/proc/PID/name, at most MAX_READ bytes; None if the process has exited or is not readable."""
    try:
        with open(proc / str(pid) / name, "rb", buffering=0) as file:
            pieces, left = [], MAX_READ
            while left > 0 and (piece := file.read(min(left, 65536))):
                pieces.append(piece)
                left -= len(piece)
            return b"".join(pieces)
    except OSError:
        return None


def describe(pid: int, time_ns: int, comm: bytes, program: bytes = b"", proc: Path = PROC) -> ProcessSeen:
    """The facts of a process; `comm` and `program` are the kernel event's, in case it has exited."""
    stat = read(pid, "stat", proc)
    program_file = executable(pid, proc)
    return ProcessSeen(
        time_ns=time_ns,
        pid=pid,
        start_ticks=start_ticks(stat) if stat else None,
        name=(comm_of(stat) if stat else None) or comm.rstrip(b"\0").decode(errors="replace"),
        executable=text_of(program_file) if program_file else absolute(program),
        cgroup=path_in(read(pid, "cgroup", proc) or b""),
    )


def text_of(path: str) -> str:
    """A path as text, which any output can encode: bytes of it that are not UTF-8 are replaced."""
    return os.fsencode(path).decode(errors="replace")


def absolute(program: bytes) -> str | None:
    """The path given to exec, if absolute; None otherwise."""
    return program.decode(errors="replace") if program.startswith(b"/") else None


def start_ticks(stat: bytes) -> int | None:
    """Field 22 of /proc/PID/stat (proc(5)): clock ticks from boot to the process's start."""
    fields = stat[stat.rfind(b")") + 1 :].split()
    return int(fields[19]) if len(fields) > 19 and fields[19].isdigit() else None


def comm_of(stat: bytes) -> str | None:
    """Field 2 of /proc/PID/stat: the name, which may itself hold parentheses and spaces."""
    start, end = stat.find(b"("), stat.rfind(b")")
    return stat[start + 1 : end].decode(errors="replace") if 0 <= start < end else None


def executable(pid: int, proc: Path = PROC) -> str | None:
    """The program file, as the process's own mount namespace names it."""
    try:
        return os.readlink(proc / str(pid) / "exe").removesuffix(" (deleted)")
    except OSError:
        return None


def netns(pid: int | str, proc: Path = PROC) -> int | None:
    """Inode number of the process's network namespace."""
    try:
        return os.stat(proc / str(pid) / "ns" / "net").st_ino
    except OSError:
        return None
