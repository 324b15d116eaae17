"""The probed TLS libraries, and the processes that use each.

A file is probed once, however many processes, containers or paths it has: its key is (inode, size, mtime,
build id), since on overlayfs two containers of one image show different devices for one inode. It stays
probed for a while after its last process, for the next run of a short program, unless it was deleted. The
first process of a root has all libraries of that root probed, before a process maps them. Detaching, which
takes the kernel up to 0.1 s a probe (agent/probes/uprobes.py), is done in small steps, so that it keeps no
new process waiting.
"""

from __future__ import annotations

import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO

from agent.probes import elf, processes, roots, targets, tls
from agent.probes.elf import Function
from agent.probes.programs import ProgramError
from agent.probes.source import ProbedFile, Unprobed

MAX_BARREN = 4096
MAX_FAILURES = 64
MAX_ROOTS = 1024
MAX_IDLE = 64  # files
MAX_UNPROBED = 64  # names of processes; the rest are counted under OTHER
OTHER = "(other)"
GRACE_NS = 600 * 1_000_000_000  # kept for a program that runs again
HERE = ""  # the root of the host's own paths

FileKey = tuple[int, int, int, str | None]
OutsideTls = Callable[[], Mapping[int, Unprobed]]
Attach = Callable[[IO[bytes], dict[str, Function]], Mapping[int, int]]
"""Returns handles to detach by, each with its number of probes."""
Detach = Callable[[Iterable[int]], object]


@dataclass(slots=True)
class Attachment:
    """One probed file, used by `pids`; a `pinned` one stays without any. A `deleted` one, which its probes
    keep on the disk, cannot be run again.
    """

    path: str
    library: str
    handles: Mapping[int, int]
    pids: set[int] = field(default_factory=set)
    pinned: bool = False
    deleted: bool = False
    idle_ns: int | None = None  # since when no process uses it
    before: Mapping[int, Unprobed] = field(default_factory=dict)  # by process: what had passed by then


class Attachments:
    """Probed files by key. Used by one thread (agent/probes/examiner.py)."""

    def __init__(self, attach: Attach, detach: Detach, outside_tls: OutsideTls = dict) -> None:
        self._attach, self._detach, self._outside_tls = attach, detach, outside_tls
        self._unprobed: dict[str, Unprobed] = {}
        self._counted: dict[int, Unprobed] = {}  # by process: its part of these
        self._files: dict[FileKey, Attachment] = {}
        self._barren: dict[FileKey, None] = {}
        self._programs: dict[int, str | None] = {}
        self._roots: OrderedDict[roots.RootKey, None] = OrderedDict()
        self._leaving: deque[int] = deque()
        self.failures: dict[str, str] = {}

    def pin_loader_libraries(self) -> None:
        """Attaches to every TLS library that the host's loader would map, before a process maps it."""
        own = roots.key_of(os.getpid())
        if own is not None:
            self._roots[own] = None
        for path in roots.libraries(HERE):
            self._use(path, path, None)

    def examine(self, pid: int) -> None:
        """Attaches to this process's executable and libraries: those it has mapped, and, of a root seen for
        the first time, those that are there.
        """
        root = f"/proc/{pid}/root"
        maps = processes.read(pid, "maps")
        if not maps:
            return  # a kernel thread, or exited
        self._meet_root(roots.key_of(pid), root, pid)
        for library in targets.mapped_libraries(maps.decode(errors="surrogateescape")):
            self._use(f"/proc/{pid}/{library.link}", library.path, pid, through_link=library.is_gone)
        program = processes.executable(pid)
        if program and self._programs.get(pid) != program:
            self._programs[pid] = program
            self._use(f"/proc/{pid}/exe", program, pid, through_link=True)

    def users(self) -> set[int]:
        """The processes that were examined and have not been forgotten."""
        return set(self._programs).union(*(one.pids for one in self._files.values()))

    def forget(self, pid: int, now_ns: int) -> None:
        """Removes an ended process; files that no process uses are detached after GRACE_NS."""
        self._programs.pop(pid, None)
        self._counted.pop(pid, None)
        for attachment in self._files.values():
            attachment.pids.discard(pid)
            if not attachment.pids and not attachment.pinned and attachment.idle_ns is None:
                attachment.idle_ns = now_ns

    def tidy(self, now_ns: int) -> bool:
        """Detaches by one handle of a file that was idle for GRACE_NS, or for longer than MAX_IDLE others, or
        is idle and deleted. False if there is none.
        """
        idle = [(one.idle_ns, key) for key, one in self._files.items() if one.idle_ns is not None]
        idle.sort(key=lambda item: item[0], reverse=True)
        for rank, (since_ns, key) in enumerate(idle):
            if rank >= MAX_IDLE or now_ns - since_ns >= GRACE_NS or self._files[key].deleted:
                self._leaving.extend(self._files.pop(key).handles)
        if not self._leaving:
            return False
        self._detach([self._leaving.popleft()])
        return True

    def probed(self) -> tuple[ProbedFile, ...]:
        """The probed files, each by its path in one of its processes."""
        counts: Counter[tuple[str, str]] = Counter()
        for attachment in self._files.values():
            counts[attachment.library, processes.text_of(attachment.path)] += sum(attachment.handles.values())
        ordered = sorted(counts.items(), key=lambda item: item[0][::-1])
        return tuple(ProbedFile(library, path, probes) for (library, path), probes in ordered)

    def unprobed(self) -> dict[str, Unprobed]:
        """TLS on the wire of processes before their library was probed, by the process's name."""
        return dict(self._unprobed)

    def forget_before(self) -> None:
        """Forgets what had passed before each file was probed: all processes that used it then are known."""
        for attachment in self._files.values():
            attachment.before = {}

    def _count_unprobed(self, pid: int, before: Unprobed) -> None:
        """Counts what passed before a file of this process was probed, once however many files it has."""
        before, self._counted[pid] = before - self._counted.get(pid, Unprobed()), before
        name = (processes.read(pid, "comm") or b"").decode(errors="replace").strip() or "?"
        if name not in self._unprobed and len(self._unprobed) >= MAX_UNPROBED:
            name = OTHER
        self._unprobed[name] = self._unprobed.get(name, Unprobed()) + before

    def _meet_root(self, key: roots.RootKey | None, root: str, pid: int) -> None:
        """Attaches to the libraries of a root that is seen for the first time."""
        if key is None or key in self._roots:
            return
        for path in roots.libraries(root):
            self._use(root + path, path, pid)
        if roots.key_of(pid) != key:
            return  # it has gone meanwhile: perhaps not all was there any more
        self._roots[key] = None
        if len(self._roots) > MAX_ROOTS:
            self._roots.popitem(last=False)

    def _use(self, full: str, path: str, pid: int | None, *, through_link: bool = False) -> None:
        try:
            with roots.opened(full, through_link=through_link) as file:
                status = os.fstat(file.fileno())
                key = (status.st_ino, status.st_size, status.st_mtime_ns, elf.build_id(file))
                if key in self._barren:
                    return
                if key not in self._files:
                    self._probe(key, file, path, tls.functions(file))
        except FileNotFoundError:
            return  # deleted, or no longer mapped
        except (OSError, ProgramError) as error:
            if os.path.lexists(full) and len(self.failures) < MAX_FAILURES:
                self.failures[processes.text_of(path)] = processes.text_of(str(error))
            return
        attachment = self._files.get(key)
        if attachment and pid is None:
            attachment.pinned = True
        elif attachment and pid is not None:
            attachment.deleted = status.st_nlink == 0
            if pid not in attachment.pids and pid in attachment.before:
                self._count_unprobed(pid, attachment.before[pid])
            attachment.pids.add(pid)
            attachment.idle_ns = None

    def _probe(self, key: FileKey, file: IO[bytes], path: str, functions: dict[str, Function]) -> None:
        if not functions:
            if len(self._barren) >= MAX_BARREN:
                self._barren.pop(next(iter(self._barren)))
            self._barren[key] = None
            return
        library = ", ".join(library.name for library in tls.defining(functions))
        handles = self._attach(file, functions)
        self._files[key] = Attachment(path, library, handles, before=self._outside_tls())
        self.failures.pop(processes.text_of(path), None)
