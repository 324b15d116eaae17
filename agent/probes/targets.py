"""Files with a TLS library: those a process maps, and those the loader would map next.

Pure: text and bytes in, names out.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from agent.probes.tls import is_library

CACHE_MAGIC = b"glibc-ld.so.cache1.1"
CACHE_HEADER = 48
CACHE_ENTRY = struct.Struct("<iIIIQ")
MAX_CACHE_ENTRIES = 100_000
MAX_PATH = 4096
"""PATH_MAX of limits.h."""


def mapped_libraries(maps: str) -> list[str]:
    """Paths of TLS libraries among the executable mappings of /proc/PID/maps, each once, in order."""
    found: dict[str, None] = {}
    for line in maps.splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and "x" in fields[1] and is_library(fields[5]):
            found[fields[5].removesuffix(" (deleted)")] = None
    return list(found)


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
