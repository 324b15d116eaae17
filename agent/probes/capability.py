"""Tries everything that capture needs of this host, with a cure for what is missing."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.probes import bpf_call
from agent.probes.backend import SYSCALLS, Backend
from agent.probes.perf_event import TRACEFS

BTF = Path("/sys/kernel/btf/vmlinux")
KPROBES = "sys/bus/event_source/devices/kprobe/type"
KPROBE_SWITCHES = ("sys/kernel/debug/kprobes/enabled", "proc/sys/kernel/ftrace_enabled")
SMALL_RING = bpf_call.MapShape("", bpf_call.RING_BUFFER, 0, 0, os.sysconf("SC_PAGE_SIZE"))
NEEDED = (
    "sock/inet_sock_set_state",
    "tcp/tcp_destroy_sock",
    "sched/sched_process_exec",
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One missing requirement and its cure; both are sentences for the operator.

    `subject` is one word for the requirement: root, bpf, btf, tracefs, tracepoints, kprobes or bcc.
    """

    subject: str
    what: str
    cure: str

    def __str__(self) -> str:
        return f"{self.what}; {self.cure}"


def refusals(backend: Backend = SYSCALLS) -> Iterator[Refusal]:
    """The reasons why this backend cannot work here, if any. Mounts tracefs if absent and allowed."""
    if os.geteuid() != 0:
        yield Refusal(
            "root",
            "attaching probes needs root",
            "run this with sudo, or in a pod as daemonset/README.md says",
        )
        return
    refusal = ring_refusal()
    if refusal:
        yield Refusal(
            "bpf",
            f"the kernel refuses eBPF ({refusal})",
            "give CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, and allow bpf() (in a pod: daemonset/README.md)",
        )
    if not BTF.exists():
        yield Refusal(
            "btf",
            f"the kernel gives no type information ({BTF} is missing)",
            "boot a kernel built with CONFIG_DEBUG_INFO_BTF, as every supported distribution's is",
        )
    if not (TRACEFS / "events").is_dir():
        reason = mount_tracefs()
        if reason:
            yield Refusal(
                "tracefs",
                f"tracefs is not mounted and mounting it failed ({reason})",
                f"run: mount -t tracefs tracefs {TRACEFS} (in a container, mount it from the host)",
            )
            return
    if backend.functions:
        yield from kprobe_refusals()
    for event in (*backend.needed, *NEEDED):
        if not (TRACEFS / "events" / event).is_dir():
            yield Refusal(
                "tracepoints",
                f"the kernel has no tracepoint {event.replace('/', ':')}",
                backend.cure,
            )
    if importlib.util.find_spec("bcc") is None:
        yield Refusal(
            "bcc",
            "BCC's Python module is missing",
            "install the distribution's python3-bpfcc, for /usr/bin/python3 (PyPI's bcc is something else)",
        )


def bcc_version() -> str | None:
    """The version of the distribution's BCC; None if it cannot be imported."""
    try:
        import bcc
    except ImportError:
        return None
    return str(getattr(bcc, "__version__", "unknown"))


def kprobe_refusals(root: Path = Path("/")) -> Iterator[Refusal]:
    """Why kprobes do not work here: they may be turned off, and then attach without effect."""
    if not (root / KPROBES).exists():
        yield Refusal("kprobes", "the kernel has no kprobes", "boot a kernel built with CONFIG_KPROBES")
        return
    for switch in KPROBE_SWITCHES:
        with suppress(OSError):
            if (root / switch).read_text().strip() == "0":
                yield Refusal("kprobes", "kprobes are turned off", f"write 1 to /{switch}")


def ring_refusal() -> str | None:
    """The kernel's reason if a small ring buffer cannot be made; None if it can."""
    try:
        os.close(bpf_call.create_map(SMALL_RING))
    except OSError as error:
        return error.strerror
    return None


def mount_tracefs() -> str | None:
    """Mounts tracefs at its usual place. Returns the kernel's reason if that fails, else None."""
    if bpf_call.LIBC.mount(b"tracefs", bytes(TRACEFS), b"tracefs", 0, None) == 0:
        return None
    return os.strerror(ctypes.get_errno())
