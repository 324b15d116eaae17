"""Which processes own TCP sockets, from /proc: their descriptors, and the tables of connections."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from agent.probes import processes
from agent.probes.processes import PROC

MAX_DESCRIPTORS = 65_536  # examined per process
ESTABLISHED, LISTEN = "01", "0A"  # include/net/tcp_states.h
SOCKET = re.compile(r"socket:\[(\d+)\]")
IO_URING = "anon_inode:[io_uring]"


@dataclass(frozen=True, slots=True)
class Socket:
    """One TCP socket; `listening` ones have no peer."""

    local_port: int
    peer_port: int
    listening: bool


@dataclass(frozen=True, slots=True)
class Descriptors:
    """A process's open descriptors: inodes of sockets of any kind, and whether it has an io_uring."""

    sockets: frozenset[int]
    io_uring: bool


def descriptors(pid: int, proc: Path = PROC) -> Descriptors | None:
    """The open descriptors; None if the process has exited or is not readable."""
    sockets, io_uring = set(), False
    try:
        with os.scandir(proc / str(pid) / "fd") as entries:
            for number, entry in enumerate(entries):
                if number >= MAX_DESCRIPTORS:
                    break
                target = _link(entry.path)
                io_uring |= target == IO_URING
                if found := SOCKET.fullmatch(target):
                    sockets.add(int(found[1]))
    except OSError:
        return None
    return Descriptors(frozenset(sockets), io_uring)


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""  # closed meanwhile


def table(text: str) -> dict[int, Socket]:
    """The sockets of one /proc/PID/net/tcp or tcp6 by inode; listening and established ones only."""
    found: dict[int, Socket] = {}
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] in (ESTABLISHED, LISTEN) and fields[9].isdigit():
            local, peer = (int(end.rpartition(":")[2], 16) for end in fields[1:3])
            found[int(fields[9])] = Socket(local, peer, fields[3] == LISTEN)
    return found


class Tables:
    """TCP sockets by network namespace, each read once. `cut`: a table was longer than the bound."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._known: dict[int, dict[int, Socket]] = {}
        self.cut = False

    def of(self, pid: int) -> dict[int, Socket]:
        """The sockets of the process's network namespace, by inode."""
        namespace = processes.netns(pid, self._proc)
        if namespace is None:
            return self._read(pid)
        if namespace not in self._known:
            self._known[namespace] = self._read(pid)
        return self._known[namespace]

    def _read(self, pid: int) -> dict[int, Socket]:
        found: dict[int, Socket] = {}
        for name in ("net/tcp", "net/tcp6"):
            raw = processes.read(pid, name, self._proc) or b""
            self.cut |= len(raw) >= processes.MAX_READ
            found |= table(raw.decode(errors="replace"))
        return found
