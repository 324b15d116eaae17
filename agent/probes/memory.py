"""Frees the compiler's memory once the kernel programs are loaded.

LLVM and clang leave some 100 MB of code resident that is not called again; if it were, the kernel would read
the pages from the file. Only read-only executable mappings are released: others hold relocations.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

COMPILER = re.compile(r"/(libLLVM|libclang|libbcc)[^/]*$")
MADV_DONTNEED = 4


def hand_back(maps: Path = Path("/proc/self/maps")) -> int:
    """Releases the compiler's resident code. Returns the size of its mappings in bytes."""
    libc = ctypes.CDLL(None, use_errno=True)
    covered = 0
    for line in maps.read_text().splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[1] == "r-xp" and COMPILER.search(fields[5]):
            start, end = (int(part, 16) for part in fields[0].split("-"))
            if libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED) == 0:
                covered += end - start
    libc.malloc_trim(0)
    return covered
