"""What can be captured of each process, from its mappings and its executable.

These are the checks that the agent makes when it attaches; here every result is kept, with the reason if
something cannot be captured.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import IO

from agent.cgroup import membership, path_in
from agent.doctor import files
from agent.doctor.facts import LibraryView, Program, Sight, printable
from agent.doctor.files import ProgramFile
from agent.doctor.libraries import DYNAMIC, MARKED, OTHER_END, foreign
from agent.doctor.sockets import Descriptors, Socket, Tables, descriptors
from agent.probes import processes, roots, targets, tls
from agent.probes.processes import PROC
from agent.probes.targets import MappedFile
from agent.probes.tls import TlsLibrary

TLS_PORTS = frozenset({443, 6443, 8443})
"""Usual ports of TLS: a program with a connection there contains TLS code."""

EBPF = "allow eBPF (see the host's checks)"
PLAIN = LibraryView("plain", Sight.SEEN, "plain HTTP is captured")

FileKey = tuple[int, int, int, int]


class Survey:
    """Examines processes. `failures` are paths that the agent could not probe, with the kernel's reason.
    `limits` says what is not captured if the backend reads packets; then no library is probed. With
    `is_below_calls` the backend sees what passes through an io_uring.
    """

    def __init__(
        self,
        failures: Mapping[str, str],
        proc: Path = PROC,
        limits: str | None = None,
        is_below_calls: bool = False,
    ) -> None:
        self._failures, self._proc = failures, proc
        self._limits, self._is_below_calls = limits, is_below_calls
        self._tables = Tables(proc)
        self._files: dict[FileKey, ProgramFile | None] = {}

    @property
    def cut(self) -> bool:
        """Whether a table of sockets was longer than the bound."""
        return self._tables.cut

    def of(self, pids: Iterable[int]) -> tuple[Program, ...]:
        """These processes, one Program each, in the given order."""
        return tuple(self._program(pid, descriptors(pid, self._proc)) for pid in pids)

    def of_all(self, but: frozenset[int] = frozenset()) -> tuple[Program, ...]:
        """Every process that owns a TCP socket; equal processes are one Program."""
        found = (self._networked(pid) for pid in processes.pids(self._proc) if pid not in but)
        return tuple(alike(program for program in found if program))

    def hidden(self) -> int:
        """Number of processes whose descriptors are not readable; whether they have sockets is unknown."""
        return sum(
            1
            for pid in processes.pids(self._proc)
            if descriptors(pid, self._proc) is None and (self._proc / str(pid)).exists()
        )

    def _networked(self, pid: int) -> Program | None:
        opened = descriptors(pid, self._proc)
        if not opened or not opened.sockets or opened.sockets.isdisjoint(self._tables.of(pid)):
            return None
        program = self._program(pid, opened)
        return program if (self._proc / str(pid)).exists() else None  # it may end meanwhile

    def _program(self, pid: int, opened: Descriptors | None) -> Program:
        sockets = self._sockets(pid, opened)
        stat = processes.read(pid, "stat", self._proc)
        name = processes.comm_of(stat) if stat else None
        executable = processes.executable(pid, self._proc)
        belongs = membership(path_in(processes.read(pid, "cgroup", self._proc) or b""))
        return Program(
            pids=(pid,),
            names=(printable(name),) if name else (),
            executable=printable(executable) if executable else None,
            container=belongs.container,
            unit=printable(belongs.unit) if belongs.unit else None,
            listening=tuple(sorted({socket.local_port for socket in sockets if socket.listening})),
            connections=sum(not socket.listening for socket in sockets),
            views=tuple(self._views(pid, stat is not None, opened, sockets)),
        )

    def _sockets(self, pid: int, opened: Descriptors | None) -> list[Socket]:
        known = self._tables.of(pid) if opened else {}
        return [known[inode] for inode in opened.sockets if inode in known] if opened else []

    def _views(
        self, pid: int, exists: bool, opened: Descriptors | None, sockets: list[Socket]
    ) -> Iterator[LibraryView]:
        if not exists:
            yield LibraryView(
                "process", Sight.UNKNOWN, "no such process", "give the pid of a running process"
            )
            return
        maps = processes.read(pid, "maps", self._proc)
        if maps is None or opened is None:
            yield LibraryView("process", Sight.UNKNOWN, "not permitted to inspect it", "run this as root")
            return
        if not maps:
            yield LibraryView("process", Sight.UNKNOWN, "a kernel thread, without a program", OTHER_END)
            return
        program = self._executable(pid)
        if self._limits is not None:
            yield PLAIN
            yield from map(self._in_packets, self._tls(pid, maps.decode(errors="surrogateescape"), program))
            return
        if program is not None and program.bits == 32:
            yield LibraryView(
                "plain", Sight.DARK, "calls of 32-bit programs are not captured", "use a 64-bit build"
            )
            return
        yield ring() if opened.io_uring and not self._is_below_calls else PLAIN
        tls = list(self._tls(pid, maps.decode(errors="surrogateescape"), program))
        yield from tls
        if not tls and any({socket.local_port, socket.peer_port} & TLS_PORTS for socket in sockets):
            yield LibraryView(
                "tls",
                Sight.UNKNOWN,
                "uses a TLS port, but no known TLS library was found (statically linked, such as rustls?)",
                DYNAMIC,
            )

    def _in_packets(self, view: LibraryView) -> LibraryView:
        """A library that programs could probe, where only packets are captured."""
        if view.sight is not Sight.SEEN:
            return view
        return replace(view, sight=Sight.DARK, what=f"not probed: {self._limits}", cure=EBPF)

    def _executable(self, pid: int) -> ProgramFile | None:
        try:
            with open(self._proc / str(pid) / "exe", "rb") as file:
                return self._inspect(file)
        except OSError:
            return None

    def _tls(self, pid: int, maps: str, program: ProgramFile | None) -> Iterator[LibraryView]:
        views = [*self._libraries(pid, maps), *self._linked_in(pid, program)]
        yield from views
        seen = {view.of for view in views if view.sight is Sight.SEEN}
        for library, path in foreign(maps).items():
            if library.of in seen:
                continue  # by what the agent brought
            if seen:
                what = f"{library.title} is loaded beside {tls.TITLES}: its traffic is not captured"
                yield LibraryView(library.of, Sight.UNKNOWN, what, library.cure, printable(path))
            else:
                yield dark(library.of, library.title, library.cure, path)

    def _libraries(self, pid: int, maps: str) -> Iterator[LibraryView]:
        """Files mapped under a library's name. One without the library's functions only calls another's."""
        others = set(foreign(maps).values())
        for library in targets.mapped_libraries(maps):
            if library.path not in others:  # NSS also has a libssl
                yield from self._mapped(pid, library)

    def _mapped(self, pid: int, mapped: MappedFile) -> Iterator[LibraryView]:
        """One mapped file, classified by its name before it is read."""
        try:
            with roots.opened_mapped(pid, mapped, self._proc) as stream:
                file = self._inspect(stream)
        except OSError as error:
            library = next(tls.named(mapped.path))
            cure = "run this as root on the host, or in a pod as daemonset/README.md says"
            yield unseen(library, f"its {library.title} cannot be read: {error.strerror}", cure, mapped.path)
            return
        if file is not None:
            yield from self._judged(file, mapped.path)

    def _linked_in(self, pid: int, program: ProgramFile | None) -> Iterator[LibraryView]:
        if program is None:
            return
        yield from self._judged(program, processes.executable(pid, self._proc) or "")

    def _judged(self, file: ProgramFile, path: str) -> Iterator[LibraryView]:
        """The views of a file with TLS code in it; none if it has none."""
        readable = tls.defining(tls.PLAINTEXT_FUNCTIONS.intersection(file.functions))
        for library in readable:
            yield self._probed(library, file, path)
        for mark in MARKED if not readable else ():
            if mark in file.marks:
                of, title, cure = MARKED[mark]
                yield dark(of, title, cure, path)

    def _probed(self, library: TlsLibrary, file: ProgramFile, path: str) -> LibraryView:
        if path in self._failures:
            what = f"its {library.title} could not be probed: {printable(self._failures[path])}"
            return unseen(library, what, OTHER_END, path)
        functions = tuple(name for name in file.functions if name in library.hooks)
        what = f"{library.title} is captured"
        return LibraryView(library.name, Sight.SEEN, what, None, printable(path), functions)

    def _inspect(self, file: IO[bytes]) -> ProgramFile | None:
        status = os.fstat(file.fileno())
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in self._files:
            self._files[key] = files.inspect(file)
        return self._files[key]


def unseen(library: TlsLibrary, what: str, cure: str, path: str) -> LibraryView:
    """A library that could be probed, except for `what`."""
    return LibraryView(library.name, Sight.DARK, what, cure, printable(path))


def dark(of: str, title: str, cure: str, path: str) -> LibraryView:
    return LibraryView(of, Sight.DARK, f"{title} is not captured", cure, printable(path))


def ring() -> LibraryView:
    """A process with an io_uring: it may be used for files only, so UNKNOWN."""
    what = "uses io_uring: traffic of its sockets through io_uring is not captured"
    return LibraryView(
        "plain", Sight.UNKNOWN, what, "turn io_uring off in the program, or watch the other end"
    )


def alike(programs: Iterable[Program]) -> Iterator[Program]:
    """Merges processes of one executable, container and unit with equal views."""

    def key(program: Program) -> tuple[str, ...]:
        belongs = (program.executable, program.container, program.unit)
        return (*(part or "" for part in belongs), repr(program.views))

    for _, group in groupby(sorted(programs, key=key), key):
        members = list(group)
        yield replace(
            members[0],
            pids=tuple(sorted(pid for member in members for pid in member.pids)),
            names=tuple(sorted({name for member in members for name in member.names})),
            listening=tuple(sorted({port for member in members for port in member.listening})),
            connections=sum(member.connections for member in members),
        )
