"""What a cluster changes on its host, and how that is undone.

kubelet and the network plugin set kernel settings, kube-proxy writes netfilter rules, containers leave
mounts, network namespaces and cgroups behind if their runtime is killed.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

SETTINGS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/conf/all/route_localnet",
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
FOLDERS = (
    "/etc/cni",
    "/opt/cni",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
)
"""Made by kubelet and the network plugin, wherever their own folders are."""

CHAIN = re.compile(r"^:(KUBE-\S+)", re.MULTILINE)
RULE_TO_CHAIN = re.compile(r"^-A (.* -j KUBE-\S+)$", re.MULTILINE)
TABLES = ("mangle", "nat", "filter")
SECONDS_FOR_CGROUPS = 10
PROC = Path("/proc/sys")


def traces() -> list[str]:
    """What of a cluster can be seen here: kernel settings, rules, mounts, interfaces, cgroups, folders."""
    found = [f"{name}={(PROC / name).read_text().strip()}" for name in SETTINGS if (PROC / name).exists()]
    for command in ("iptables", "ip6tables"):
        saved = subprocess.run([f"{command}-save"], capture_output=True, text=True, check=False).stdout
        found += [line for line in saved.splitlines() if "KUBE-" in line]
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if "spectap-cluster-" in line]
    found += [path.name for path in Path("/sys/class/net").iterdir()]
    found += map(str, [*Path("/sys/fs/cgroup").glob("*/kubepods"), *Path("/sys/fs/cgroup").glob("kubepods")])
    found += [folder for folder in FOLDERS if Path(folder).exists()]
    return sorted(found)


@contextmanager
def unchanged(state: Path) -> Iterator[None]:
    """Undoes at the end what a cluster with its files below `state` has changed here."""
    before = {name: (PROC / name).read_text() for name in SETTINGS if (PROC / name).exists()}
    there = {folder for folder in FOLDERS if Path(folder).exists()}
    with ExitStack() as stack:  # whatever of it fails, the rest is undone
        for folder in FOLDERS:
            if folder not in there:
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for name, value in before.items():
            stack.callback((PROC / name).write_text, value)
        stack.callback(remove_rules)
        stack.callback(remove_cgroups)
        stack.callback(unmount, state)
        yield


@contextmanager
def address(name: str, ip: str) -> Iterator[None]:
    """An interface of its own with this address, which pods can reach on any network, or on none."""
    # Not every kernel has dummy interfaces, and pods need this kind anyway.
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-end"], check=True)
    try:
        subprocess.run(["ip", "address", "add", f"{ip}/32", "dev", name], check=True)
        for end in (name, f"{name}-end"):
            subprocess.run(["ip", "link", "set", end, "up"], check=True)
        yield
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)


def unmount(state: Path) -> None:
    """Unmounts everything below a folder."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in sorted((point for point in points if Path(point).is_relative_to(state)), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False)


def remove_cgroups() -> None:
    """Removes the cgroups of pods, whose processes are gone or are about to be."""
    until = time.monotonic() + SECONDS_FOR_CGROUPS
    while left := [*Path("/sys/fs/cgroup").glob("kubepods"), *Path("/sys/fs/cgroup").glob("*/kubepods")]:
        for top in left:
            for folder in sorted((one for one in top.rglob("*") if one.is_dir()), reverse=True):
                with suppress(OSError):
                    folder.rmdir()
            with suppress(OSError):
                top.rmdir()
        if time.monotonic() > until:
            raise AssertionError(f"cgroups of pods are left: {left}")
        time.sleep(0.05)


def remove_rules() -> None:
    """Removes the netfilter rules of kubelet and kube-proxy."""
    for command in ("iptables", "ip6tables"):
        for table in TABLES:
            saved = subprocess.run(
                [f"{command}-save", "-t", table], capture_output=True, text=True, check=False
            ).stdout
            chains = CHAIN.findall(saved)
            for rule in RULE_TO_CHAIN.findall(saved):
                if not rule.startswith("KUBE-"):
                    subprocess.run([command, "-w", "-t", table, "-D", *shlex.split(rule)], check=False)
            for flag in ("-F", "-X"):
                for chain in chains:
                    subprocess.run([command, "-w", "-t", table, flag, chain], check=False)
