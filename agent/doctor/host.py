"""Checks of the host. Nothing is loaded or attached here (tracefs may be mounted).

Facts come from /proc and /sys below `Host.root`, so that a test can build a host.
"""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.cgroup import membership, path_in
from agent.doctor.capabilities import capabilities
from agent.doctor.facts import Check, CheckState
from agent.probes import capability, roots, tls
from agent.probes.capability import Refusal

FIRST_KERNEL = (5, 8)  # the BPF ring buffer
FIRST_WITHOUT_MEMLOCK = (5, 11)  # BPF memory is charged to the cgroup from then on
INITIAL_PID_NAMESPACE, INITIAL_USER_NAMESPACE = 0xEFFFFFFC, 0xEFFFFFFD  # include/linux/proc_ns.h
RING_SHARE = 4  # the ring may take 1/RING_SHARE of the available memory
MACHINES = ("x86_64",)

POD = "in a pod set hostPID: true and what daemonset/README.md lists"
TYPES = "the kernel has type information"
UNPRIVILEGED = {"0": "allowed to all", "1": "root only, until the next boot", "2": "root only"}


@dataclass(frozen=True, slots=True)
class Host:
    """The host's file system at `root`."""

    root: Path = Path("/")

    def text(self, path: str) -> str | None:
        """A small file's text; None if it is missing or unreadable."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return None

    def has(self, path: str) -> bool:
        return (self.root / path).exists()

    def namespace(self, kind: str) -> int | None:
        """The inode number of the agent's own namespace of this kind."""
        try:
            found = re.search(r"\[(\d+)\]", os.readlink(self.root / "proc/self/ns" / kind))
        except OSError:
            return None
        return int(found[1]) if found else None


def checks(host: Host, refusals: Iterable[Refusal], ring_bytes: int) -> Iterator[Check]:
    """Every check that needs no program loaded. `refusals` are the agent's own, from `capability`."""
    refused = {refusal.subject: refusal for refusal in refusals}
    yield needed("root", refused, "running as root")
    yield capabilities(host.text("proc/self/status") or "", f"run this as root, outside of containers; {POD}")
    yield kernel(os.uname())
    if "root" in refused:
        yield from without_root(host)
    else:
        yield needed("bpf", refused, "allowed")
        yield needed("btf", refused, TYPES)
        yield needed("tracefs", refused, "mounted")
        if "tracefs" not in refused:
            yield needed("tracepoints", refused, "available for system calls, sockets and processes")
        yield needed("bcc", refused, f"BCC {capability.bcc_version()}")
    yield uprobes(host)
    yield lockdown(host)
    yield kprobes(host)
    yield unprivileged_bpf(host)
    yield memlock(os.uname().release, resource.getrlimit(resource.RLIMIT_MEMLOCK)[0])
    yield ring(host, ring_bytes)
    yield cgroups(host)
    yield container(host)
    yield loader(host)


def needed(subject: str, refused: Mapping[str, Refusal], what: str) -> Check:
    """A check that the agent also makes when it starts."""
    if subject in refused:
        return Check(subject, CheckState.REFUSED, refused[subject].what, refused[subject].cure)
    return Check(subject, CheckState.OK, what)


def without_root(host: Host) -> Iterator[Check]:
    """The agent's own checks for root, as far as another user can make them."""
    if host.has("sys/kernel/btf/vmlinux"):
        yield Check("btf", CheckState.OK, TYPES)
    else:
        cure = "boot a kernel built with CONFIG_DEBUG_INFO_BTF, as every supported distribution's is"
        yield Check("btf", CheckState.REFUSED, "the kernel gives no type information", cure)
    for subject in ("bpf", "tracefs", "tracepoints"):
        yield Check(subject, CheckState.UNKNOWN, "cannot be checked without root", "run this as root")
    found = capability.bcc_version()
    if found is None:
        cure = "install the distribution's python3-bpfcc, for /usr/bin/python3"
        yield Check("bcc", CheckState.REFUSED, "BCC's Python module is missing", cure)
    else:
        yield Check("bcc", CheckState.OK, f"BCC {found}")


def version(release: str) -> tuple[int, int]:
    """Major and minor number of a kernel release; (0, 0) if it is not one."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def kernel(name: os.uname_result) -> Check:
    what = f"Linux {name.release} on {name.machine}"
    if version(name.release) < FIRST_KERNEL:
        return Check(
            "kernel", CheckState.REFUSED, f"{what} has no BPF ring buffer", "boot a kernel of 5.8 or later"
        )
    if name.machine not in MACHINES:
        cure = f"use a machine of {' or '.join(MACHINES)}"
        return Check("kernel", CheckState.WARNING, f"{what}: this machine type is untried", cure)
    return Check("kernel", CheckState.OK, what)


def uprobes(host: Host) -> Check:
    if host.has("sys/bus/event_source/devices/uprobe/type"):
        return Check("uprobes", CheckState.OK, "available for TLS libraries")
    cure = "boot a kernel built with CONFIG_UPROBE_EVENTS, as every supported distribution's is"
    return Check("uprobes", CheckState.LIMITED, "not in this kernel: TLS cannot be captured", cure)


def lockdown(host: Host) -> Check:
    """Integrity mode does not matter; confidentiality mode keeps BPF from reading the kernel's memory."""
    text = host.text("sys/kernel/security/lockdown")
    given = re.search(r"\blockdown=(\w+)", host.text("proc/cmdline") or "")
    chosen = re.search(r"\[(\w+)\]", text) if text else None
    mode = chosen[1] if chosen else given[1] if given else None
    if mode == "confidentiality":
        cure = "boot with lockdown=integrity or none"
        return Check("lockdown", CheckState.REFUSED, "confidentiality: BPF may not read kernel memory", cure)
    if mode:
        return Check("lockdown", CheckState.OK, f"{mode}, which is no obstacle")
    return Check("lockdown", CheckState.OK, "not reported by this kernel")


def kprobes(host: Host) -> Check:
    there = host.has("sys/bus/event_source/devices/kprobe/type")
    what = "available" if there else "not in this kernel: io_uring and what sendfile sends are not captured"
    return Check("kprobes", CheckState.OK, what)


def unprivileged_bpf(host: Host) -> Check:
    text = host.text("proc/sys/kernel/unprivileged_bpf_disabled") or ""
    meaning = UNPRIVILEGED.get(text, "not reported by this kernel")
    return Check("unprivileged-bpf", CheckState.OK, f"{meaning}, which is no obstacle")


def memlock(release: str, limit: int) -> Check:
    if version(release) >= FIRST_WITHOUT_MEMLOCK or limit == resource.RLIM_INFINITY:
        what = "unlimited" if limit == resource.RLIM_INFINITY else "limited, but not used by this kernel"
        return Check("memlock", CheckState.OK, what)
    what = f"RLIMIT_MEMLOCK is {limit} bytes, which counts BPF memory on this kernel"
    cure = "raise it if loading fails: ulimit -l unlimited, or LimitMEMLOCK=infinity in the unit"
    return Check("memlock", CheckState.WARNING, what, cure)


def ring(host: Host, ring_bytes: int) -> Check:
    """The ring's size against the available memory, of the cgroup too."""
    left = [value for value in (_available(host), _cgroup_left(host)) if value is not None]
    size = f"{ring_bytes >> 20} MiB"
    if not left:
        return Check("ring", CheckState.UNKNOWN, f"{size}; available memory unknown", "mount /proc")
    what = f"{size} of {min(left) >> 20} MiB available"
    if ring_bytes * RING_SHARE > min(left):
        cure = "give spectap-agent run a smaller --ring-mib, or this machine (or pod) more memory"
        return Check("ring", CheckState.WARNING, what, cure)
    return Check("ring", CheckState.OK, what)


def _available(host: Host) -> int | None:
    found = re.search(r"^MemAvailable:\s*(\d+) kB", host.text("proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _cgroup_left(host: Host) -> int | None:
    """Bytes left below the own cgroup's limit (version 2, as in a container); None without a limit."""
    own = re.search(r"^0::/(.*)$", host.text("proc/self/cgroup") or "", re.MULTILINE)
    if own is None:
        return None
    folder = f"sys/fs/cgroup/{own[1]}".rstrip("/")
    limit, used = host.text(f"{folder}/memory.max"), host.text(f"{folder}/memory.current")
    if limit and used and limit.isdigit() and used.isdigit():
        return max(int(limit) - int(used), 0)
    return None


def cgroups(host: Host) -> Check:
    lines = (host.text("proc/self/cgroup") or "").splitlines()
    unified = any(line.startswith("0::") for line in lines)
    legacy = any(not line.startswith("0::") for line in lines)
    kind = {(True, False): "version 2", (True, True): "versions 1 and 2", (False, True): "version 1"}
    if (unified, legacy) not in kind:
        cure = "boot a kernel with cgroups to identify containers"
        return Check("cgroup", CheckState.WARNING, "none: containers cannot be identified", cure)
    return Check(
        "cgroup", CheckState.OK, f"{kind[unified, legacy]}; containers and units are identified by it"
    )


def container(host: Host) -> Check:
    """Whether processes outside this container are visible, and whether this root is the host's."""
    users, pids = host.namespace("user"), host.namespace("pid")
    if users is not None and users != INITIAL_USER_NAMESPACE:
        what = "root of a user namespace, not of the host"
        return Check("container", CheckState.REFUSED, what, f"run this as the host's root; {POD}")
    where = "in a container" if _in_container(host) else "on the host"
    if pids is not None and pids != INITIAL_PID_NAMESPACE:
        what = "in its own process namespace: only processes inside it are found"
        return Check(
            "container", CheckState.LIMITED, what, f"run this on the host; {POD}; docker run --pid=host"
        )
    return Check("container", CheckState.OK, f"{where}, with all processes visible")


def _in_container(host: Host) -> bool:
    own = membership(path_in((host.text("proc/self/cgroup") or "").encode()))
    marks = (".dockerenv", "run/.containerenv", "var/run/secrets/kubernetes.io")
    return own.container is not None or any(host.has(mark) for mark in marks)


def loader(host: Host) -> Check:
    """The TLS libraries that the loader would map for the next program; they are probed in advance."""
    paths = list(_probed_libraries(host))
    if paths:
        return Check("loader", CheckState.OK, f"{', '.join(paths)}: probed before programs load it")
    titles = tls.titles(tls.SHARED)
    what = f"the loader knows no {titles}: the first TLS calls of a program may be missed"
    return Check("loader", CheckState.WARNING, what, f"none needed where programs bring their own {titles}")


def _probed_libraries(host: Host) -> Iterator[str]:
    """The loader's libraries that have functions to probe, each file once."""
    known = set()
    for path in roots.libraries(str(host.root).rstrip("/")):
        try:
            with roots.opened(str(_below(host, path))) as file:
                key = os.fstat(file.fileno()).st_ino
                if key not in known and tls.functions(file):
                    yield path
                known.add(key)
        except OSError:
            continue


def _below(host: Host, path: str | Path) -> Path:
    return host.root / str(path).lstrip("/")
