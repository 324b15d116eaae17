"""Files with a TLS library: those a process maps, and those the loader would map next.

Pure: text and bytes in, names out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from agent.probes.tls import is_library, named

CACHE_MAGIC = b"glibc-ld.so.cache1.1"
CACHE_HEADER = 48
CACHE_ENTRY = struct.Struct("<iIIIQ")
MAX_CACHE_ENTRIES = 100_000
MAX_PATH = 4096
"""PATH_MAX of limits.h."""
MAP_FILES = "map_files/"
DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class MappedFile:
    """A file that a process maps. `path` is where it was when it was mapped. `link` leads to it, below
    /proc/PID: through the process's root, or if it is no longer there, as the kernel keeps it.
    """

    path: str
    link: str

    @property
    def is_gone(self) -> bool:
        """Whether it was deleted, or replaced by another file, since."""
        return self.link.startswith(MAP_FILES)


def mapped_libraries(maps: str) -> list[MappedFile]:
    """TLS libraries among the executable mappings of /proc/PID/maps, each once, in order.

    A file that is gone may be in use all the same: Netty and Conscrypt delete theirs once it is loaded, and
    programs run on with a library that an upgrade has replaced. Not so what an agent brought and took back.
    """
    found: dict[tuple[str, bool], MappedFile] = {}
    for line in maps.splitlines():
        fields = line.split(None, 5)
        if len(fields) < 6 or "x" not in fields[1]:
            continue
        path = fields[5].removesuffix(DELETED)
        gone = path != fields[5]
        if not is_library(path) or (gone and all(library.brought for library in named(path))):
            continue
        link = map_file(fields[0]) if gone else f"root{path}"
        found.setdefault((path, gone), MappedFile(path, link))
    return list(found.values())


def map_file(addresses: str) -> str:
    """The link to the file that is mapped at these addresses (proc(5)), which has them without zeros."""
    return MAP_FILES + "-".join(part.lstrip("0") or "0" for part in addresses.split("-"))


def loader_libraries(cache: bytes) -> list[str]:
    """Paths of TLS libraries in /etc/ld.so.cache (glibc's dl-cache.h, the format since 2.2); [] if broken."""
    start = cache.find(CACHE_MAGIC)
    if start < 0 or len(cache) < start + CACHE_HEADER:
        return []
    (count,) = struct.unpack_from("<I", cache, start + len(CACHE_MAGIC))
    names = _cache_values(cache, start, min(count, MAX_CACHE_ENTRIES))
    return list(dict.fromkeys(name for name in names if is_library(name)))


def _cache_values(cache: bytes, start: int, count: int) -> Iterator[str]:
    for index in range(count):
        at = start + CACHE_HEADER + index * CACHE_ENTRY.size
        if at + CACHE_ENTRY.size > len(cache):
            return
        value = start + CACHE_ENTRY.unpack_from(cache, at)[2]
        end = cache.find(b"\0", value, value + MAX_PATH)
        if end > value:
            yield cache[value:end].decode(errors="surrogateescape")
