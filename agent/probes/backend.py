"""Backends: the ways in which programs observe sockets, one row each.

All of them emit the same events (bpf/event.h) and share the maps and the TLS programs; a row adds its C files
and where they attach. Which one is used is found by trying (agent/capture/choice.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent.probes.loaded import Detach


class Attaching(Protocol):
    """Loaded programs, attached by name. All raise OSError."""

    def attach_tracepoint(self, tracepoint: str, program: str) -> Detach: ...

    def attach_raw_tracepoint(self, tracepoint: str) -> Detach:
        """Attaches the program that the sources define for it."""
        ...

    def attach_kprobe(self, function: str, program: str) -> Detach: ...


@dataclass(frozen=True, slots=True)
class Backend:
    """One backend: `name` as in `--backend`, `title` in sentences.

    `sources` are files of bpf/. `needed` are tracepoints, as folders below tracefs's events/, and `cure` what
    to do where one is missing. `calls` are system calls, by the program at their entry; `exit` is the one at
    their return. `raw` are raw tracepoints. `functions` are the kernel's, by the program of their kprobe.
    `is_below_calls`: bytes are observed where the kernel takes and gives them, whatever the system call.
    """

    name: str
    title: str
    sources: tuple[str, ...]
    needed: tuple[str, ...]
    cure: str
    calls: Mapping[str, str]
    exit: str
    raw: tuple[str, ...] = ()
    functions: Mapping[str, str] = field(default_factory=dict)
    is_below_calls: bool = False

    def attach(self, programs: Attaching) -> Iterator[Detach]:
        """Attaches probe by probe, as the caller iterates. Raises OSError."""
        for tracepoint in self.raw:
            yield programs.attach_raw_tracepoint(tracepoint)
        for call, entry in self.calls.items():
            # The return first: a call that entered between the two would leave its entry behind.
            yield programs.attach_tracepoint(f"syscalls:sys_exit_{call}", self.exit)
            yield programs.attach_tracepoint(f"syscalls:sys_enter_{call}", entry)
        for function, program in self.functions.items():
            yield programs.attach_kprobe(function, program)


KPROBES = Backend(
    name="kprobes",
    title="kprobes of the socket layer",
    sources=("sockets_kprobe.c",),
    needed=("sock/sock_send_length", "sock/sock_recv_length", "syscalls/sys_enter_splice"),
    cure="boot a kernel of 6.5 or later",
    calls={"splice": "enter_splice"},
    exit="leave_splice",
    raw=("sock_send_length", "sock_recv_length"),
    functions={
        "inet_sendmsg": "enter_inet_send",
        "inet6_sendmsg": "enter_inet_send",
        "inet_recvmsg": "enter_inet_receive",
        "inet6_recvmsg": "enter_inet_receive",
    },
    is_below_calls=True,
)

SYSCALLS = Backend(
    name="tracepoints",
    title="system call tracepoints",
    sources=("sockets_syscall.c",),
    needed=("syscalls/sys_enter_read",),
    cure="boot a kernel built with CONFIG_FTRACE_SYSCALLS, as every supported distribution's is",
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

BACKENDS = (KPROBES, SYSCALLS)
"""In order of what they capture, the most first."""
