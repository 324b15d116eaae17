"""Backends: the ways of observing sockets, one row each, behind one protocol.

All backends emit the same events (bpf/event.h) and share the maps and the TLS programs; a row adds its C
files and where they attach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

Detach = Callable[[], None]
"""Removes one probe."""


class Module(Protocol):
    """The part of bcc.BPF that backends use."""

    def attach_tracepoint(self, *, tp: bytes, fn_name: bytes) -> object: ...

    def detach_tracepoint(self, tp: bytes) -> None: ...


class Backend(Protocol):
    """One backend: `name` as in `--backend`, `title` in sentences. `sources` are files of bpf/, `needed`
    tracepoints, as folders below tracefs's events/.
    """

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def sources(self) -> tuple[str, ...]: ...

    @property
    def needed(self) -> tuple[str, ...]: ...

    def attach(self, module: Module) -> Iterator[Detach]:
        """Attaches probe by probe, as the caller iterates. BCC's exceptions pass through."""
        ...


@dataclass(frozen=True, slots=True)
class Tracepoints:
    """Tracepoints of system calls: a program at each entry, one for all returns."""

    name: str
    title: str
    sources: tuple[str, ...]
    needed: tuple[str, ...]
    calls: Mapping[str, str]
    exit: str

    def attach(self, module: Module) -> Iterator[Detach]:
        for call, entry in self.calls.items():
            # The return first: a call that entered between the two would leave its entry behind.
            yield attached(module, f"syscalls:sys_exit_{call}", self.exit)
            yield attached(module, f"syscalls:sys_enter_{call}", entry)


def attached(module: Module, tracepoint: str, program: str) -> Detach:
    module.attach_tracepoint(tp=tracepoint.encode(), fn_name=program.encode())
    return lambda: module.detach_tracepoint(tracepoint.encode())


SYSCALLS = Tracepoints(
    name="tracepoints",
    title="system call tracepoints",
    sources=("sockets_syscall.c",),
    needed=("syscalls/sys_enter_read",),
    calls={
        "read": "enter_read",
        "write": "enter_write",
        "readv": "enter_readv",
        "writev": "enter_writev",
        "recvfrom": "enter_recvfrom",
        "sendto": "enter_write",
        "recvmsg": "enter_recvmsg",
        "sendmsg": "enter_sendmsg",
        "recvmmsg": "enter_recvmmsg",
        "sendmmsg": "enter_sendmmsg",
        "sendfile64": "enter_sendfile",
        "splice": "enter_splice",
    },
    exit="syscall_exit",
)
