"""The kernel programs: compiled by BCC without kernel headers, loaded, attached and detached.

BCC rewrites only the main text, so the sources of bpf/ are joined in order with #line; bpf/include replaces
the kernel headers. Uprobes are attached by file offset and their descriptors kept here: BCC names them by
path and address, which collide under /proc/PID/root.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from agent.probes import btf, private_stack, symbols, tls
from agent.probes.backend import SYSCALLS, Backend, Detach, attached
from agent.probes.elf import Function
from agent.probes.maps import Maps

HEADERS = (
    "event.h",
    "maps.h",
    "filters.h",
    "scratch.h",
    "conn.h",
    "walk.h",
    "ship.h",
    "bodies.h",
    "first_bytes.h",
    "tls_call.h",
    "tls_proof.h",
    "sockets.h",
)
PROGRAMS = ("tls.c", "tls_go.c", "tls_java.c", "lifecycle.c")
FOLDER = Path(__file__).resolve().parents[2] / "bpf"

ENTRY, RETURN = 0, 1
SPARE_FILES = 256
"""Open files that probes leave to the rest of the agent; each probe is one."""
AT_LEAST = 0.005  # the shortest time between two drains of the ring, in seconds, however many programs start


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bounds of the kernel programs: ring in bytes (a power of two of pages), table entries."""

    ring_bytes: int = 64 * 1024 * 1024
    connections: int = 65_536
    threads: int = 32_768
    bodies: int = 16_384
    go_calls: int = 65_536


class ProgramError(RuntimeError):
    """The kernel refused a program or a probe; the message names it and the reason."""


def source_text(backend: Backend = SYSCALLS, folder: Path = FOLDER) -> str:
    """The joined C text that BCC compiles."""
    parts = ["#include <linux/types.h>\n"]
    for name in (*HEADERS, *backend.sources, *PROGRAMS):
        parts.append(f'#line 1 "{name}"\n{(folder / name).read_text()}')
    return "\n".join(parts)


def places(functions: Mapping[str, Function]) -> Iterator[tuple[str, int, int]]:
    """The programs of a file's functions, each with its kind of probe and where it goes.

    All returns first: a call that entered before would leave its entry behind. Then the entries, close to
    each other in time, since a connection that passes some of them meanwhile is seen in part.
    """
    for name, function in functions.items():
        leave = tls.HOOKS[name].exit
        if leave and not function.returns:
            yield leave, RETURN, function.entry
        elif leave:
            yield from ((leave, ENTRY, offset) for offset in function.returns)
    for name, function in functions.items():
        yield tls.HOOKS[name].entry, ENTRY, function.entry


def below_calls() -> Iterator[str]:
    """What is defined for a backend that observes bytes in the kernel."""
    yield "-DARRAYS_IN_KERNEL"
    yield from (f"-D{name}={address}ull" for name, address in symbols.memory_layout().items())


def room_for_probes() -> int:
    """Raises this process's limit of open files to the maximum; returns how many probes it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(0, soft - SPARE_FILES)


class Programs:
    """One agent's loaded programs, and their `maps`. `close` leaves nothing attached."""

    def __init__(self, sizes: Sizes, cache: Path | None, backend: Backend = SYSCALLS) -> None:
        os.environ["BCC_KERNEL_SOURCE"] = str(FOLDER)
        import bcc

        offsets = btf.kernel_offsets(cache)
        if backend.is_below_calls and offsets["O_OPS_SENDPAGE"]:
            raise ProgramError(f"{backend.title} would miss sendfile on this kernel: it is older than 6.5")
        flags = [f"-D{name}={value}" for name, value in offsets.items()]
        flags += [
            *(below_calls() if backend.is_below_calls else ()),
            f"-DRING_PAGES={sizes.ring_bytes // os.sysconf('SC_PAGE_SIZE')}",
            f"-DCONNECTIONS={sizes.connections}",
            f"-DTHREADS={sizes.threads}",
            f"-DBODIES={sizes.bodies}",
            f"-DGO_CALLS={sizes.go_calls}",
            *tls.compiler_flags(),
            "-Wno-unused",
        ]
        self._bcc = bcc
        try:
            self._module: Any = bcc.BPF(text=source_text(backend).encode(), cflags=flags)
        except Exception as error:  # BCC raises Exception itself
            reason = str(error)[:300]  # BCC may quote the whole source
            raise ProgramError(f"the kernel refused the capture programs: {reason}") from None
        self.backend, self.maps = backend, Maps(self._module)
        self._socket_probes: list[Detach] = []
        self._wake = select.epoll()
        self._uprobes: dict[int, int] = {}
        self._room = room_for_probes()
        self._next = 0
        self._closing = False
        self._tls_refusal = self._refusal()

    @property
    def tls_refusal(self) -> str | None:
        """A sentence on why no TLS library is probed; None if they are."""
        return self._tls_refusal

    def _refusal(self) -> str | None:
        try:
            unsafe = [name for name in tls.PROGRAMS if self._has_private_stack(name)]
        except (OSError, ProgramError) as error:
            return f"TLS capture disabled: {error}; plain HTTP is captured"
        if not unsafe:
            return None
        return (
            f"TLS capture disabled: this kernel would run {', '.join(unsafe)} on a stack that tasks share, "
            "which can crash the host; plain HTTP is captured"
        )

    def _has_private_stack(self, program: str) -> bool:
        return private_stack.has_private_stack(self.load(program), self.code(program))

    def code(self, program: str) -> bytes:
        """A program's eBPF instructions, as compiled."""
        code: bytes = self._module.dump_func(program.encode())
        return code

    def load(self, program: str) -> int:
        """Loads a uprobe program, once. Returns its descriptor; raises ProgramError."""
        try:
            descriptor: int = self._module.load_func(program.encode(), self._bcc.BPF.KPROBE).fd
            return descriptor
        except Exception as error:  # BCC raises Exception itself
            raise ProgramError(f"the kernel refused the program {program}: {error}") from None

    def attach_sockets(self) -> int:
        """Attaches the backend. Returns its number of probes; raises ProgramError."""
        try:
            for probe in self.backend.attach(self._module):
                self._socket_probes.append(probe)
        except Exception as error:  # BCC raises Exception itself
            raise ProgramError(f"{self.backend.title} cannot be attached: {error}") from None
        return len(self._socket_probes)

    def attach_mappings(self) -> None:
        """Attaches to mappings of new code, so that their processes are examined at once; if the kernel
        refuses, they wait for the next round.
        """
        with suppress(Exception):  # BCC raises Exception itself
            self._socket_probes.append(attached(self._module, "syscalls:sys_enter_mmap", "enter_mmap"))

    def attach_tls(self, file: IO[bytes], functions: dict[str, Function]) -> list[int]:
        """Attaches to these functions of an open file. Returns handles; raises ProgramError.

        Its path would not be safe: a container's owner could have replaced the file since the offsets were
        read, and a probe inside an instruction crashes the program.
        """
        if self._tls_refusal:
            raise ProgramError(self._tls_refusal)
        wanted = list(places(functions))
        if len(self._uprobes) + len(wanted) > self._room:
            raise ProgramError(
                f"{len(self._uprobes)} probes are attached: the limit of open files allows no more"
            )
        handles: list[int] = []
        try:
            for program, kind, offset in wanted:
                handles.append(self._uprobe(program, kind, file, offset))
        except ProgramError:
            self.detach(handles)
            raise
        return handles

    def _uprobe(self, program: str, kind: int, file: IO[bytes], offset: int) -> int:
        if self._closing:
            raise ProgramError("capture is ending")
        self._next += 1
        path = f"/proc/self/fd/{file.fileno()}"
        name = f"spectap_{os.getpid()}_{self._next}"
        descriptor: int = self._bcc.lib.bpf_attach_uprobe(
            self.load(program), kind, name.encode(), path.encode(), offset, -1, 0
        )
        if descriptor < 0:
            reason = os.strerror(ctypes.get_errno())
            raise ProgramError(f"a probe cannot be attached to {file.name}: {reason}")
        self._uprobes[self._next] = descriptor
        return self._next

    def detach(self, handles: list[int]) -> None:
        """Detaches uprobes; unknown handles are ignored."""
        for handle in handles:
            descriptor = self._uprobes.pop(handle, None)
            if descriptor is not None:
                self._bcc.lib.bpf_close_perf_event_fd(descriptor)

    def open_ring(self, receive: Callable[[bytes], bool]) -> None:
        """Passes every event's bytes to `receive`, which returns whether it takes more in this drain.

        It must not raise: BCC swallows exceptions there.
        """

        def copy(_context: object, data: int, size: int) -> int:
            return 0 if receive(ctypes.string_at(data, size)) else -1

        ring = self._module[b"events"]
        ring.open_ring_buffer(copy)
        self._wake.register(ring.map_fd, select.EPOLLIN | select.EPOLLET)

    def wait(self, seconds: float) -> None:
        """Waits so long, or until a process runs a new program; AT_LEAST at any rate."""
        time.sleep(AT_LEAST)
        self._wake.poll(seconds - AT_LEAST)

    def consume(self) -> bool:
        """Passes the ring's events to the receiver, without waiting. True if the receiver stopped it."""
        left: int = self._bcc.lib.bpf_consume_ringbuf(self._module._ringbuf_manager)
        return left < 0

    def close(self) -> Iterator[tuple[int, int]]:
        """Detaches everything; yields (done, total) after each probe, since each takes the kernel a while. No
        more are attached from here on, whichever thread tries.
        """
        self._closing = True
        total = len(self._uprobes) + len(self._socket_probes)
        done = 0
        for handle in list(self._uprobes):
            self.detach([handle])
            done += 1
            yield done, total
        while self._socket_probes:
            self._socket_probes.pop()()
            done += 1
            yield done, total
        self._wake.close()
        self._module.cleanup()
