"""The kernel programs: compiled by BCC without kernel headers, loaded, attached and detached.

BCC rewrites only the main text, so the sources of bpf/ are joined in order with #line; bpf/include replaces
the kernel headers.
"""

from __future__ import annotations

import itertools
import os
import resource
import select
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import IO

from agent.probes import bpf_call, btf, kept_programs, private_stack, symbols, tls, uprobes
from agent.probes.backend import SYSCALLS, Backend
from agent.probes.compiler import FOLDER as FOLDER
from agent.probes.compiler import CompilerError, Source
from agent.probes.elf import Function
from agent.probes.loaded import RAW_PREFIX, Detach, LoadedPrograms, ToLoad
from agent.probes.loaded import ProgramError as ProgramError
from agent.probes.maps import NAMES, Maps
from agent.probes.ring import Ring
from agent.probes.uprobes import ENTRY, RETURN, Places, Probe

HEADERS = (
    "event.h",
    "maps.h",
    "filters.h",
    "scratch.h",
    "conn.h",
    "walk.h",
    "ship.h",
    "heads.h",
    "bodies.h",
    "first_bytes.h",
    "tls_call.h",
    "tls_proof.h",
    "sockets.h",
)
PROGRAMS = ("tls.c", "tls_go.c", "tls_rustls.h", "tls_rustls.c", "lifecycle.c")
JAVA = "tls_java.c"
LIFECYCLE = ("inet_sock_set_state", "tcp_destroy_sock", "sched_process_exec", "sched_process_exit")
"""The raw tracepoints of lifecycle.c."""
MAPPINGS = "enter_mmap"

SPARE_FILES = 256
"""Open files that probes leave to the rest of the agent."""
NO_MORE_FILES = "the limit of open files allows no more"
AT_LEAST = 0.005  # the shortest time between two drains of the ring, in seconds, however many programs start


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bounds of the kernel programs: ring in bytes (a power of two of pages), table entries."""

    ring_bytes: int = 64 * 1024 * 1024
    connections: int = 65_536
    threads: int = 32_768
    bodies: int = 16_384
    go_calls: int = 65_536

    def entries(self) -> dict[str, int]:
        """The bounds of all maps that are SIZED in bpf/."""
        of_connections = dict.fromkeys(("conns", "ignored", "rustls_halves", "tls_conns"), self.connections)
        of_threads = dict.fromkeys(("calls", "tls_calls"), self.threads)
        others = {"events": self.ring_bytes, "bodies": self.bodies, "go_calls": self.go_calls}
        return {**of_connections, **of_threads, **others}


def source_text(backend: Backend = SYSCALLS, folder: Path = FOLDER, *, java: bool = True) -> str:
    """The joined C text that BCC compiles; a fifth of its time goes into Java's programs."""
    parts = ["#include <linux/types.h>\n"]
    for name in (*HEADERS, *backend.sources, *PROGRAMS, *((JAVA,) if java else ())):
        parts.append(f'#line 1 "{name}"\n{(folder / name).read_text()}')
    return "\n".join(parts)


def places(functions: Mapping[str, Function]) -> Iterator[Places]:
    """The programs of a file's functions and where they go, in the order in which to attach them.

    All returns first: a call that entered before would leave its entry behind. Then the entries, close to
    each other in time, since a connection that passes some of them meanwhile is seen in part.
    """
    alone = (*_returns(functions), *_entries(functions))
    for (program, kind), group in itertools.groupby(alone, key=itemgetter(0, 1)):
        yield Places(program, kind, tuple(offset for _, _, offset in group))


def _returns(functions: Mapping[str, Function]) -> Iterator[tuple[str, int, int]]:
    for name, function in functions.items():
        leave = tls.HOOKS[name].exit
        if leave and not function.returns:
            yield leave, RETURN, function.entry
        elif leave:
            yield from ((leave, ENTRY, offset) for offset in function.returns)


def _entries(functions: Mapping[str, Function]) -> Iterator[tuple[str, int, int]]:
    for name, function in functions.items():
        yield from ((tls.HOOKS[name].entry, ENTRY, offset) for offset in (function.entry, *function.others))


def of_sockets(backend: Backend) -> dict[str, ToLoad]:
    """What is loaded to observe sockets and processes."""
    tracepoints = (*backend.calls.values(), backend.exit, MAPPINGS)
    return {
        **{name: ToLoad(bpf_call.TRACEPOINT) for name in tracepoints},
        **{name: ToLoad(bpf_call.KPROBE) for name in backend.functions.values()},
        **{RAW_PREFIX + name: ToLoad(bpf_call.RAW_TRACEPOINT) for name in (*LIFECYCLE, *backend.raw)},
    }


def below_calls() -> Iterator[str]:
    """What is defined for a backend that observes bytes in the kernel."""
    yield "-DARRAYS_IN_KERNEL"
    yield from (f"-D{name}={address}ull" for name, address in symbols.memory_layout().items())


def source(cache: Path | None, backend: Backend, *, java: bool) -> Source:
    """What is compiled. Raises ProgramError and BtfError."""
    offsets = btf.kernel_offsets(cache)
    if backend.is_below_calls and offsets["O_OPS_SENDPAGE"]:
        raise ProgramError(f"{backend.title} would miss sendfile on this kernel: it is older than 6.5")
    flags = [f"-D{name}={value}" for name, value in offsets.items()]
    flags += [*(below_calls() if backend.is_below_calls else ()), *tls.compiler_flags(), "-Wno-unused"]
    return Source(source_text(backend, java=java), flags, [*tls.programs(java), *of_sockets(backend)])


def loaded(
    sizes: Sizes, cache: Path | None, backend: Backend, attach_type: int, *, java: bool
) -> LoadedPrograms:
    """The maps and programs; those of TLS libraries are loaded for `attach_type`. Raises ProgramError and
    BtfError.
    """
    try:
        compiled = kept_programs.compiled(source(cache, backend, java=java), cache)
    except CompilerError as error:
        raise ProgramError(f"the capture programs cannot be compiled: {error}") from None
    of_tls = dict.fromkeys(tls.programs(java), ToLoad(bpf_call.KPROBE, attach_type))
    return LoadedPrograms(compiled, of_tls | of_sockets(backend), sizes.entries())


def room_for_probes() -> int:
    """Raises this process's limit of open files to the maximum; returns how many it leaves to probes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(0, soft - SPARE_FILES)


def shared_stack(*programs: str) -> str:
    """Why these are not attached."""
    return (
        f"this kernel would run {', '.join(programs)} on a stack that tasks share, which can crash the host"
    )


class Programs:
    """One agent's programs, and their `maps`. `close` leaves nothing attached. With `java` they include those
    of Java's own TLS. tls.first_programs are loaded at once, with `load_all` the others too; else they are
    loaded with the first file that needs them.
    """

    def __init__(
        self,
        sizes: Sizes,
        cache: Path | None,
        backend: Backend = SYSCALLS,
        *,
        java: bool = False,
        load_all: bool = False,
    ) -> None:
        self._way = uprobes.way()
        self._tls_programs = tls.programs(java)
        self._loaded = loaded(sizes, cache, backend, self._way.attach_type, java=java)
        self.backend, self.maps = backend, Maps({name: self._loaded.maps[name] for name in NAMES})
        self._ring: Ring | None = None
        self._socket_probes: list[Detach] = []
        self._wake = select.epoll()
        self._uprobes: dict[int, Probe] = {}
        self._room = room_for_probes()
        self._handles = itertools.count(1)
        self._closing = False
        self._safe: set[str] = set()
        self._tls_refusal = self._refusal(self._tls_programs if load_all else tls.first_programs(java))

    @property
    def tls_refusal(self) -> str | None:
        """A sentence on why no TLS library is probed; None if they are."""
        return self._tls_refusal

    def _refusal(self, programs: Iterable[str]) -> str | None:
        """A sentence on which of these may not be attached; None if all may."""
        try:
            unsafe = [name for name in programs if not self._is_safe(name)]
        except ProgramError as error:
            return f"TLS capture disabled: {error}; plain HTTP is captured"
        return f"TLS capture disabled: {shared_stack(*unsafe)}; plain HTTP is captured" if unsafe else None

    def _is_safe(self, program: str) -> bool:
        """Whether the kernel runs a program on its task's stack. Loads it; raises ProgramError."""
        if program not in self._safe:
            try:
                if private_stack.has_private_stack(self.load(program), self.code(program)):
                    return False
            except OSError as error:
                raise ProgramError(f"the stack of {program} is not known: {error.strerror}") from None
            self._safe.add(program)
        return True

    def code(self, program: str) -> bytes:
        """A program's eBPF instructions, as compiled."""
        return self._loaded.code(program)

    def load(self, program: str) -> int:
        """A program's descriptor; raises ProgramError."""
        return self._loaded.descriptor(program)

    def attach_sockets(self) -> int:
        """Attaches the backend. Returns its number of probes; raises ProgramError."""
        try:
            for tracepoint in LIFECYCLE:
                self._socket_probes.append(self._loaded.attach_raw_tracepoint(tracepoint))
            for probe in self.backend.attach(self._loaded):
                self._socket_probes.append(probe)
        except (OSError, ProgramError) as error:
            raise ProgramError(f"{self.backend.title} cannot be attached: {error}") from None
        return len(self._socket_probes)

    def attach_mappings(self) -> None:
        """Attaches to mappings of new code, so that their processes are examined at once; if the kernel
        refuses, they wait for the next round.
        """
        with suppress(OSError, ProgramError):
            self._socket_probes.append(self._loaded.attach_tracepoint("syscalls:sys_enter_mmap", MAPPINGS))

    def attach_tls(self, file: IO[bytes], functions: dict[str, Function]) -> dict[int, int]:
        """Attaches to these functions of an open file. Returns handles, each with its number of places;
        raises ProgramError.

        Its path would not be safe: a container's owner could have replaced the file since the offsets were
        read, and a probe inside an instruction crashes the program.
        """
        if self._tls_refusal:
            raise ProgramError(self._tls_refusal)
        all_wanted = [*places(functions)]
        for program in dict.fromkeys(wanted.program for wanted in all_wanted):
            self._prepare(program, file)  # all before the first: loading one takes a while
        handles: dict[int, int] = {}
        try:
            for wanted in all_wanted:
                for probe in self._attached(wanted, file):
                    handle = next(self._handles)
                    self._uprobes[handle], handles[handle] = probe, probe.places
        except ProgramError:
            self.detach(handles)
            raise
        return handles

    def _prepare(self, program: str, file: IO[bytes]) -> None:
        """Loads a program that is to be attached to this file; raises ProgramError if it may not be."""
        if program not in self._tls_programs:
            raise ProgramError(f"{file.name} is not captured: {tls.JAVA.cure}")
        if not self._is_safe(program):
            raise ProgramError(f"{file.name} is not captured: {shared_stack(program)}")

    def _attached(self, wanted: Places, file: IO[bytes]) -> Iterator[Probe]:
        if len(self._uprobes) + len(wanted.offsets) > self._room:
            raise ProgramError(f"{self._attached_places()} probes are attached: {NO_MORE_FILES}")
        try:
            for probe in self._way.attach(self.load(wanted.program), wanted, file):
                yield probe
                if self._closing:
                    raise ProgramError("capture is ending")
        except OSError as error:
            raise ProgramError(f"a probe cannot be attached to {file.name}: {error.strerror}") from None

    def _attached_places(self) -> int:
        return sum(probe.places for probe in [*self._uprobes.values()])

    def detach(self, handles: Iterable[int]) -> int:
        """Detaches uprobes; unknown handles are ignored. Returns from how many places."""
        found = [self._uprobes.pop(handle, None) for handle in handles]
        for probe in filter(None, found):
            os.close(probe.descriptor)
        return sum(probe.places for probe in found if probe)

    def open_ring(self, receive: Callable[[bytes], bool]) -> None:
        """Passes every event's bytes to `receive`, which returns whether it takes more in this drain; it must
        not raise. Raises ProgramError.
        """
        descriptor = self._loaded.maps["events"]
        try:
            self._ring = Ring(descriptor, receive)
        except OSError as error:
            raise ProgramError(f"the ring buffer cannot be read: {error}") from None
        self._wake.register(descriptor, select.EPOLLIN | select.EPOLLET)

    def wait(self, seconds: float) -> None:
        """Waits so long, or until a process runs a new program; AT_LEAST at any rate."""
        time.sleep(AT_LEAST)
        self._wake.poll(seconds - AT_LEAST)

    def consume(self) -> bool:
        """Passes the ring's events to the receiver, without waiting. True if the receiver stopped it."""
        return self._ring is not None and self._ring.consume()

    def close(self) -> Iterator[tuple[int, int]]:
        """Detaches everything; yields (done, total) in probes, since they can take the kernel a while. No
        more are attached from here on, whichever thread tries.
        """
        self._closing = True
        total = self._attached_places() + len(self._socket_probes)
        done = 0
        for handle in list(self._uprobes):
            done += self.detach([handle])
            yield done, total
        while self._socket_probes:
            self._socket_probes.pop()()
            done += 1
            yield done, total
        self._wake.close()
        if self._ring is not None:
            self._ring.close()
        self._ring = None
        self._loaded.close()
