"""The probed TLS libraries, the processes that use each, and the queue of processes to examine.

A file is probed once, however many processes, containers or paths it has: its key is (inode, size, mtime,
build id), since on overlayfs two containers of one image show different devices for one inode. Work is queued
and done in small steps, so that neither a burst of new processes nor detaching, which takes the kernel 0.1 s
a probe, stalls the capture.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent.probes import elf, processes, targets, tls
from agent.probes.programs import ProgramError
from agent.probes.source import ProbedFile

MAX_QUEUED = 4096
MAX_FAILURES = 64
GRACE_NS = 60 * 1_000_000_000  # kept for a program that restarts
LOADER_CACHE = Path("/etc/ld.so.cache")
HERE = ""  # the root of the host's own paths

FileKey = tuple[int, int, int, str | None]
Attach = Callable[[str, dict[str, int]], list[int]]
Detach = Callable[[list[int]], None]


@dataclass(slots=True)
class Attachment:
    """One probed file, used by `pids`; a `pinned` one stays without any."""

    path: str
    library: str
    handles: list[int]
    pids: set[int] = field(default_factory=set)
    pinned: bool = False
    idle_ns: int | None = None  # since when no process uses it


class Attachments:
    """Probed files by key. Not thread-safe."""

    def __init__(self, attach: Attach, detach: Detach, names: frozenset[str]) -> None:
        self._attach, self._detach, self._names = attach, detach, names
        self._files: dict[FileKey, Attachment] = {}
        self._barren: dict[FileKey, None] = {}
        self._queue: deque[int] = deque()
        self._queued: set[int] = set()
        self._programs: dict[int, str | None] = {}
        self._leaving: deque[int] = deque()
        self.failures: dict[str, str] = {}
        self.overflowed = 0

    def pin_loader_libraries(self) -> None:
        """Attaches to every TLS library that the loader would map, before a process maps it."""
        try:
            cache = LOADER_CACHE.read_bytes()
        except OSError:
            return  # no glibc; processes are examined one by one
        for path in targets.loader_libraries(cache):
            self._use(HERE, path, None)

    def enqueue(self, pid: int) -> None:
        """Queues a process to be examined; if the queue is full, it is counted and left to the next
        rescan.
        """
        if pid in self._queued:
            return
        if len(self._queue) >= MAX_QUEUED:
            self.overflowed += 1
            return
        self._queued.add(pid)
        self._queue.append(pid)

    def work(self) -> bool:
        """Examines one queued process. False if none is queued."""
        if not self._queue:
            return False
        pid = self._queue.popleft()
        self._queued.discard(pid)
        self.look(pid)
        return True

    def look(self, pid: int) -> None:
        """Attaches to this process's executable and mapped libraries."""
        root = f"/proc/{pid}/root"
        maps = processes.read(pid, "maps")
        if not maps:
            return  # a kernel thread, or exited
        for path in targets.mapped_libraries(maps.decode(errors="surrogateescape")):
            self._use(root, path, pid)
        program = processes.executable(pid)
        if program and self._programs.get(pid) != program:
            self._programs[pid] = program
            self._use(root, program, pid)

    def forget(self, pid: int, now_ns: int) -> None:
        """Removes an ended process; files that no process uses are detached after GRACE_NS."""
        self._programs.pop(pid, None)
        for attachment in self._files.values():
            attachment.pids.discard(pid)
            if not attachment.pids and not attachment.pinned and attachment.idle_ns is None:
                attachment.idle_ns = now_ns

    def tidy(self, now_ns: int) -> bool:
        """Detaches one probe of a file that was idle for GRACE_NS. False if there is none."""
        for key, attachment in list(self._files.items()):
            if attachment.idle_ns is not None and now_ns - attachment.idle_ns >= GRACE_NS:
                del self._files[key]
                self._leaving.extend(attachment.handles)
        if not self._leaving:
            return False
        self._detach([self._leaving.popleft()])
        return True

    def probed(self) -> tuple[ProbedFile, ...]:
        """The probed files, each by its path in one of its processes."""
        counts: Counter[tuple[str, str]] = Counter()
        for attachment in self._files.values():
            counts[attachment.library, attachment.path] += len(attachment.handles)
        ordered = sorted(counts.items(), key=lambda item: item[0][::-1])
        return tuple(ProbedFile(library, path, probes) for (library, path), probes in ordered)

    def _use(self, root: str, path: str, pid: int | None) -> None:
        full = root + path
        try:
            with open(full, "rb") as file:
                status = os.fstat(file.fileno())
                key = (status.st_ino, status.st_size, status.st_mtime_ns, elf.build_id(file))
                if key in self._barren:
                    return
                if key not in self._files:
                    self._probe(key, full, path, elf.function_offsets(file, self._names))
        except FileNotFoundError:
            return  # deleted, or never had a path (memfd)
        except (OSError, ProgramError) as error:
            if os.path.exists(full) and len(self.failures) < MAX_FAILURES:
                self.failures[path] = str(error)
            return
        attachment = self._files.get(key)
        if attachment and pid is None:
            attachment.pinned = True
        elif attachment and pid is not None:
            attachment.pids.add(pid)
            attachment.idle_ns = None

    def _probe(self, key: FileKey, full: str, path: str, offsets: dict[str, int]) -> None:
        if not offsets:
            if len(self._barren) >= MAX_QUEUED:
                self._barren.pop(next(iter(self._barren)))
            self._barren[key] = None
            return
        library = ", ".join(library.name for library in tls.defining(offsets))
        self._files[key] = Attachment(path, library, self._attach(full, offsets))
        self.failures.pop(path, None)
