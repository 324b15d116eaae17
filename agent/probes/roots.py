"""The TLS libraries that programs of a root file system would map: a container's, a chroot's, or the host's.

glibc's loader has a cache of them; musl's and a root without the cache have folders. A root is untrusted:
links are followed inside it, and only regular files are opened, without blocking.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO

from agent.probes import targets
from agent.probes.processes import PROC
from agent.probes.targets import MappedFile
from agent.probes.tls import is_library

LOADER_CACHE = "/etc/ld.so.cache"
FOLDERS = ("/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64")
"""The folders that loaders search without a cache: musl's default path (ldso/dynlink.c), and glibc's."""
MULTIARCH = ("x86_64-linux-gnu", "aarch64-linux-gnu")
MAX_LISTED = 20_000  # names of one folder
MAX_LINKS = 40  # followed in one path, as in path_resolution(7)
MAX_LIBRARIES = 16  # of one root: a hostile file takes up to half a second
MAX_CACHE = 4 * 1024 * 1024  # bytes of a loader's cache

RootKey = tuple[int, int, int]


def key_of(pid: int, proc: Path = PROC) -> RootKey | None:
    """A key equal for processes that see the same files under the same paths; None if the process
    has exited.
    """
    try:
        root = os.stat(proc / str(pid) / "root")
        return (os.stat(proc / str(pid) / "ns/mnt").st_ino, root.st_dev, root.st_ino)
    except OSError:
        return None


def libraries(root: str) -> list[str]:
    """Paths of the TLS libraries below `root` (without a trailing slash)."""
    try:
        with opened(root + resolved(root, LOADER_CACHE)) as file:
            cache = file.read(MAX_CACHE)
    except OSError:
        paths = list(_searched(root))
    else:
        paths = targets.loader_libraries(cache)
    return list(dict.fromkeys(resolved(root, path) for path in paths))[:MAX_LIBRARIES]


def _searched(root: str) -> Iterator[str]:
    for folder in FOLDERS:
        for below in (folder, *(f"{folder}/{triplet}" for triplet in MULTIARCH)):
            with suppress(OSError), os.scandir(root + resolved(root, below)) as entries:
                names = [entry.name for entry in islice(entries, MAX_LISTED)]
                yield from (path for path in (f"{below}/{name}" for name in names) if is_library(path))


def resolved(root: str, path: str) -> str:
    """The path as seen inside this root, without links. A path that does not exist, or has circular links,
    stays unchanged.
    """
    left = deque(path.split("/"))
    done: list[str] = []
    links = 0
    while left:
        part = left.popleft()
        if part in ("", "."):
            continue
        if part == "..":
            del done[-1:]
            continue
        try:
            target = os.readlink("/".join([root, *done, part]))
        except OSError:  # no link
            done.append(part)
            continue
        links += 1
        if links > MAX_LINKS:
            return path
        if target.startswith("/"):
            done.clear()
        left.extendleft(reversed(target.split("/")))
    return "/" + "/".join(done)


def opened_mapped(pid: int, file: MappedFile, proc: Path = PROC) -> IO[bytes]:
    """A file that a process maps, open for reading. Raises OSError."""
    return opened(f"{proc}/{pid}/{file.link}", through_link=file.is_gone)


def opened(path: str, *, through_link: bool = False) -> IO[bytes]:
    """A regular file, open for reading; its last component may not be a link, except with `through_link` one
    of the kernel's own (/proc/PID/exe), which leads to the file whatever its path leads to. Raises OSError.
    """
    # Without blocking: a named pipe would block until a writer opens it.
    how = os.O_NONBLOCK | os.O_CLOEXEC | (0 if through_link else os.O_NOFOLLOW)
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | how))  # noqa: SIM115
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file  # the caller closes it
    file.close()
    raise OSError(f"{path} is no regular file")
