"""The cgroups (version 2) named in filters: the id and depth that the kernel programs compare.

A cgroup's id is its folder's inode number; the hierarchy's root has 1. Version 1 also has ids, but programs
cannot read them, so a path there is refused with this reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MAX = 16
"""Cgroups in one agent's filters, included and excluded."""

MOUNTS = Path("/proc/self/mountinfo")
ROOT_ID = 1


class CgroupError(ValueError):
    """A cgroup cannot be used as a filter; the message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Cgroup:
    """`level` is the depth below the hierarchy's root, which is 0."""

    id: int
    level: int


def find_all(only: Iterable[str], excluded: Iterable[str]) -> list[tuple[Cgroup, bool]]:
    """Each named cgroup and whether it is excluded. Raises CgroupError."""
    named = [(path, False) for path in only] + [(path, True) for path in excluded]
    if len(named) > MAX:
        raise CgroupError(f"at most {MAX} cgroups can be watched or excluded; name one above several of them")
    text = MOUNTS.read_text(errors="surrogateescape") if named else ""
    return [(find(path, text), out) for path, out in named]


def find(path: str, mountinfo: str) -> Cgroup:
    """The cgroup at `path`: a folder, or a path below the root of the hierarchy. Raises CgroupError."""
    root = root_of(mountinfo)
    if root is None:
        raise CgroupError(
            "this host's cgroup v2 hierarchy is not mounted here, so nothing can be filtered by cgroup; "
            "run: mount -t cgroup2 cgroup2 /mnt (in a container, mount the host's /sys/fs/cgroup)"
        )
    for folder in (Path(path), root / path.lstrip("/")):
        found = folder.resolve()
        if found.is_relative_to(root) and found.is_dir():
            return Cgroup(found.stat().st_ino, len(found.relative_to(root).parts))
    if any(Path(path).resolve().is_relative_to(other) for other in mounted("cgroup", mountinfo)):
        raise CgroupError(
            f"{path} is a cgroup of version 1, whose members no program can tell; name one below {root}, "
            "or boot with systemd.unified_cgroup_hierarchy=1"
        )
    raise CgroupError(f"there is no cgroup {path} below {root}; see the line 0:: of /proc/PID/cgroup")


def root_of(mountinfo: str) -> Path | None:
    """The root of the hierarchy; None if it is not mounted here."""
    places = [place for place in mounted("cgroup2", mountinfo) if place.is_dir()]
    return next((place.resolve() for place in places if place.stat().st_ino == ROOT_ID), None)


def ids_of(text: bytes, mountinfo: str | None = None) -> set[int]:
    """The ids of a process's cgroup and all above it, from its /proc/PID/cgroup; empty if it has gone."""
    root = root_of(MOUNTS.read_text(errors="surrogateescape") if mountinfo is None else mountinfo)
    lines = (line.split("::", 1) for line in text.decode(errors="surrogateescape").splitlines())
    path = next((parts[1] for parts in lines if len(parts) == 2 and parts[0] == "0"), None)
    ids: set[int] = set()
    if root is None or path is None:
        return ids
    folder = (root / path.lstrip("/")).resolve()
    while folder.is_relative_to(root):
        with suppress(OSError):
            ids.add(folder.stat().st_ino)
        folder = folder.parent
    return ids


def mounted(kind: str, mountinfo: str) -> list[Path]:
    """The mount points of this file system type, from mountinfo (proc(5))."""
    places = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if after.split(" ")[0] == kind:
            places.append(Path(before.split(" ")[4].replace("\\040", " ")))
    return places
