"""The cgroups (version 2) in which kubelet runs pods, by pod UID.

| driver   | pod                                                                         |
|----------|-----------------------------------------------------------------------------|
| cgroupfs | …/kubepods/podUID, …/kubepods/burstable/podUID                              |
| systemd  | …/kubepods.slice/kubepods-podUID.slice, …/kubepods-burstable.slice/….slice  |

kubelet creates a pod's cgroup before its first container. What contains it, such as kubelet's own
container, is above.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from agent.cgroup import POD
from agent.probes.cgroups import MOUNTS, Cgroup, root_of

MAX_LEVEL = 12
"""As in bpf/maps.h: cgroups as deep as that are not told apart in the kernel."""
DEEPEST_ROOT = 6
"""Below that no folder of all pods is looked for."""
ALL_PODS = re.compile(r"(?:.+-)?kubepods(?:\.slice)?")
QUALITY = re.compile(r"(?:.+-)?(?:burstable|besteffort)(?:\.slice)?")


def all_pods(mounts: Path = MOUNTS) -> Mapping[Path, Cgroup]:
    """The folders that have all pods of a kubelet, which is one unless clusters are nested; empty without
    cgroup version 2.
    """
    root = root_of(mounts.read_text(errors="surrogateescape"))
    if root is None:
        return {}
    return {path: _cgroup(path, root) for path in _folders_of_all(root, DEEPEST_ROOT)}


def pods_in(folders: Mapping[Path, Cgroup]) -> Mapping[str, Cgroup]:
    """The pods below these folders, by UID."""
    found: dict[str, Cgroup] = {}
    for folder, cgroup in folders.items():
        for entry in _folders(folder):
            if QUALITY.fullmatch(entry.name):
                for inner in _folders(Path(entry.path)):
                    _add(found, inner, cgroup.level + 2)
            else:
                _add(found, entry, cgroup.level + 1)
    return found


def _add(found: dict[str, Cgroup], entry: os.DirEntry[str], level: int) -> None:
    named = POD.search(entry.name)
    if named is not None:
        found[named[1].replace("_", "-")] = Cgroup(entry.inode(), level)


def _cgroup(path: Path, root: Path) -> Cgroup:
    return Cgroup(path.stat().st_ino, len(path.relative_to(root).parts))


def _folders_of_all(folder: Path, depth: int) -> Iterator[Path]:
    for entry in _folders(folder):
        if ALL_PODS.fullmatch(entry.name):
            yield Path(entry.path)
        elif depth > 1:
            yield from _folders_of_all(Path(entry.path), depth - 1)


def _folders(path: Path) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(path) as entries:  # it may be removed at this moment
        yield from [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
